// Logs that a worker works on: who, how many workers died of it, and what it read, until the record is loaded.

import { sql } from "kysely";

import type { Database } from "../connection/open-database.ts";

/** A log that was in flight at so many deaths of its worker runs alone; one more, and it was the log. */
export const crashLimit = 3;

/** A worker renews its leases more often than that; one that does not is dead, or as good as dead. */
const leaseSeconds = 25;

const newLease = sql<Date>`now() + make_interval(secs => ${leaseSeconds})`;
// While Postgres was away nobody could renew: then the lease counts from its start.
const leaseEnd = sql<Date>`greatest(flight.leased_until, pg_postmaster_start_time() + make_interval(secs => ${leaseSeconds}))`;
const isLeased = sql<boolean>`(flight.worker is not null and flight.leased_until is not null and ${leaseEnd} > now())`;

export type AcquiredLogLease = { readonly deaths: number } | { readonly heldForMs: number };

/**
 * Marks the log as in flight with `worker`, a name that no other process bears, unless its deaths say that it must run alone
 * and it does not. The mark of another process is a death once its lease has run out; until then nothing changes.
 * @returns how many workers died of the log so far, or how long another worker has it for itself.
 */
export async function acquireLogLease(
  db: Database,
  { jobId, worker, isAlone }: { readonly jobId: number; readonly worker: string; readonly isAlone: boolean },
): Promise<AcquiredLogLease> {
  const deaths = sql<number>`flight.deaths + (flight.worker is distinct from ${worker} and flight.worker is not null)::integer`;
  const isTaken = sql<boolean>`(${deaths} < ${crashLimit} or ${isAlone})`;
  const taken = await sql<{ deaths: number }>`
    insert into archive.logs_in_flight as flight (job_id, worker, leased_until) values (${jobId}, ${worker}, ${newLease})
    on conflict (job_id) do update set
      deaths = ${deaths},
      worker = case when ${isTaken} then ${worker} end,
      leased_until = case when ${isTaken} then ${newLease} end
    where flight.worker is not distinct from ${worker} or not ${isLeased}
    returning deaths
  `.execute(db);
  const [row] = taken.rows;
  if (row !== undefined) return row;
  const held = await sql<{ ms: number }>`
    select ceil(extract(epoch from ${leaseEnd} - now()) * 1000)::float8 as ms
    from archive.logs_in_flight as flight where job_id = ${jobId} and ${isLeased}
  `.execute(db);
  return { heldForMs: held.rows[0]?.ms ?? 0 };
}

/** The worker still works on these logs. */
export async function renewLogLeases(
  db: Database,
  { jobIds, worker }: { readonly jobIds: readonly number[]; readonly worker: string },
): Promise<void> {
  await sql`
    update archive.logs_in_flight set leased_until = ${newLease}
    where job_id = any(${sql.val(jobIds)}::bigint[]) and worker = ${worker}
  `.execute(db);
}

/** The worker is done with the log for now, well or not. Idempotent. */
export async function releaseLogLease(
  db: Database,
  { jobId, worker }: { readonly jobId: number; readonly worker: string },
): Promise<void> {
  await db
    .updateTable("archive.logs_in_flight")
    .set({ worker: null, leased_until: null })
    .where("job_id", "=", jobId)
    .where("worker", "=", worker)
    .execute();
}

/** The log killed its worker while it ran alone. Whoever tries it again runs it alone again. */
export async function resetCrashCount(db: Database, jobId: number): Promise<void> {
  await db
    .updateTable("archive.logs_in_flight")
    .set({ deaths: crashLimit, worker: null, leased_until: null })
    .where("job_id", "=", jobId)
    .execute();
}

export type ReadLog = { readonly jobId: number; readonly rawSha256: string; readonly rawBytes: number };

/**
 * Says what was read, and then looks for another job whose log has the same raw bytes, archived or about to be. Of two that do so
 * at the same moment, one sees the other at least.
 * @returns the smallest id of such a job.
 */
export async function findSameLog(db: Database, { jobId, rawSha256, rawBytes }: ReadLog): Promise<number | undefined> {
  await db
    .updateTable("archive.logs_in_flight")
    .set({ raw_sha256: rawSha256, raw_bytes: rawBytes })
    .where("job_id", "=", jobId)
    .execute();
  const sameIn = (table: "archive.logs" | "archive.logs_in_flight") =>
    db
      .selectFrom(table)
      .select("job_id")
      .where("raw_sha256", "=", rawSha256)
      .where("raw_bytes", "=", rawBytes)
      .where("job_id", "!=", jobId);
  const row = await sameIn("archive.logs")
    .unionAll(sameIn("archive.logs_in_flight"))
    .orderBy("job_id")
    .limit(1)
    .executeTakeFirst();
  return row?.job_id;
}

export type LeasedLog = { repository_id: number; run_id: number; job_id: number; raw_sha256: string | null };

/** Logs in flight that may lie in the store already: they were read, or a worker works on them, or died of them. */
export async function listLeasedLogs(db: Database, limit: number): Promise<LeasedLog[]> {
  return db
    .selectFrom("archive.logs_in_flight")
    .innerJoin("archive.obligations", "archive.obligations.job_id", "archive.logs_in_flight.job_id")
    .select(["repository_id", "run_id", "archive.obligations.job_id", "raw_sha256"])
    .where((eb) => eb.or([eb("raw_sha256", "is not", null), eb("worker", "is not", null)]))
    .orderBy("archive.obligations.job_id")
    .limit(limit)
    .execute();
}

/** Their records are loaded: what they say is in the auditor's rows from now on. */
export async function forgetLogLeases(trx: Database, jobIds: readonly number[]): Promise<void> {
  await trx
    .deleteFrom("archive.logs_in_flight")
    .where(sql<boolean>`job_id = any(${sql.val(jobIds)}::bigint[])`)
    .execute();
}
