// Leases of logs: the worker of each, how many workers crashed on it, and what was read, until the record is loaded.

import { sql } from "kysely";

import type { Database } from "../connection/open-database.ts";

/** After this number of crashes of its worker a log runs exclusively; at one more it is failed as crashed. */
export const crashLimit = 3;

/** A worker renews its leases more often than this; one that does not is presumed dead. */
const leaseSeconds = 25;

const newLease = sql<Date>`now() + make_interval(secs => ${leaseSeconds})`;
// No worker could renew while Postgres was unavailable: then the lease counts from its start.
const leaseEnd = sql<Date>`greatest(lease.leased_until, pg_postmaster_start_time() + make_interval(secs => ${leaseSeconds}))`;
const isLeased = sql<boolean>`(lease.worker is not null and lease.leased_until is not null and ${leaseEnd} > now())`;

export type AcquiredLogLease = { readonly crashes: number } | { readonly heldForMs: number };

/**
 * Leases the log to `worker`, a name unique to the process, unless its crashes require exclusive execution and it does not run
 * exclusively. An expired lease of another process is a crash; before its expiry nothing changes.
 * @returns how many workers crashed on the log so far, or how long another worker has its lease.
 */
export async function acquireLogLease(
  db: Database,
  { jobId, worker, isAlone }: { readonly jobId: number; readonly worker: string; readonly isAlone: boolean },
): Promise<AcquiredLogLease> {
  const crashes = sql<number>`lease.crashes + (lease.worker is distinct from ${worker} and lease.worker is not null)::integer`;
  const isTaken = sql<boolean>`(${crashes} < ${crashLimit} or ${isAlone})`;
  const taken = await sql<{ crashes: number }>`
    insert into archive.log_leases as lease (job_id, worker, leased_until) values (${jobId}, ${worker}, ${newLease})
    on conflict (job_id) do update set
      crashes = ${crashes},
      worker = case when ${isTaken} then ${worker} end,
      leased_until = case when ${isTaken} then ${newLease} end
    where lease.worker is not distinct from ${worker} or not ${isLeased}
    returning crashes
  `.execute(db);
  const [row] = taken.rows;
  if (row !== undefined) return row;
  const held = await sql<{ ms: number }>`
    select ceil(extract(epoch from ${leaseEnd} - now()) * 1000)::float8 as ms
    from archive.log_leases as lease where job_id = ${jobId} and ${isLeased}
  `.execute(db);
  return { heldForMs: held.rows[0]?.ms ?? 0 };
}

/** Renews the leases of these logs. */
export async function renewLogLeases(
  db: Database,
  { jobIds, worker }: { readonly jobIds: readonly number[]; readonly worker: string },
): Promise<void> {
  await sql`
    update archive.log_leases set leased_until = ${newLease}
    where job_id = any(${sql.val(jobIds)}::bigint[]) and worker = ${worker}
  `.execute(db);
}

/** Releases the lease, whatever the result. Idempotent. */
export async function releaseLogLease(
  db: Database,
  { jobId, worker }: { readonly jobId: number; readonly worker: string },
): Promise<void> {
  await db
    .updateTable("archive.log_leases")
    .set({ worker: null, leased_until: null })
    .where("job_id", "=", jobId)
    .where("worker", "=", worker)
    .execute();
}

/** The worker crashed while the log ran exclusively. The next try runs exclusively, too. */
export async function resetCrashCount(db: Database, jobId: number): Promise<void> {
  await db
    .updateTable("archive.log_leases")
    .set({ crashes: crashLimit, worker: null, leased_until: null })
    .where("job_id", "=", jobId)
    .execute();
}

export type ReadLog = { readonly jobId: number; readonly rawSha256: string; readonly rawBytes: number };

/**
 * Records what was read, then searches for another job with the same raw bytes, archived or about to be. Of two concurrent calls at
 * least one sees the other.
 * @returns the smallest id of such a job.
 */
export async function findSameLog(db: Database, { jobId, rawSha256, rawBytes }: ReadLog): Promise<number | undefined> {
  await db
    .updateTable("archive.log_leases")
    .set({ raw_sha256: rawSha256, raw_bytes: rawBytes })
    .where("job_id", "=", jobId)
    .execute();
  const sameIn = (table: "archive.logs" | "archive.log_leases") =>
    db
      .selectFrom(table)
      .select("job_id")
      .where("raw_sha256", "=", rawSha256)
      .where("raw_bytes", "=", rawBytes)
      .where("job_id", "!=", jobId);
  const row = await sameIn("archive.logs").unionAll(sameIn("archive.log_leases")).orderBy("job_id").limit(1).executeTakeFirst();
  return row?.job_id;
}

export type LeasedLog = { repository_id: number; run_id: number; job_id: number; raw_sha256: string | null };

/** Leased logs that may be in the store already: they were read, or a worker has or had them. */
export async function listLeasedLogs(db: Database, limit: number): Promise<LeasedLog[]> {
  return db
    .selectFrom("archive.log_leases")
    .innerJoin("archive.log_jobs", "archive.log_jobs.job_id", "archive.log_leases.job_id")
    .select(["repository_id", "run_id", "archive.log_jobs.job_id", "raw_sha256"])
    .where((eb) => eb.or([eb("raw_sha256", "is not", null), eb("worker", "is not", null)]))
    .orderBy("archive.log_jobs.job_id")
    .limit(limit)
    .execute();
}

/** Ends the leases of logs whose records are loaded: the auditor's rows have their facts now. */
export async function deleteLogLeases(trx: Database, jobIds: readonly number[]): Promise<void> {
  await trx
    .deleteFrom("archive.log_leases")
    .where(sql<boolean>`job_id = any(${sql.val(jobIds)}::bigint[])`)
    .execute();
}
