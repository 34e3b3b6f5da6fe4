// Erases one log by an operator's decision, such as a printed secret or a lawful request.

import { PermanentError } from "@actions-archive/core/errors";
import { sql } from "kysely";

import { type Database, transact } from "../connection/open-database.ts";
import { insertTombstones, isSealed, lockArchivedLogs, type RemovableLog } from "./tombstones.ts";

export type ErasedObject = {
  object_key: string;
  size_bytes: number;
  cause: string;
  reason: string;
  /** Null if not recorded. */
  by: string | null;
  decided_at: Date;
  /** The published seal with its tombstone; null until then. */
  sealed_in: number | null;
  removed_at: Date | null;
  retained_until: Date | null;
  problem: string | null;
};

export type Erasure = {
  job_id: number;
  /** False if its log had been removed before: then nothing was changed. */
  is_new: boolean;
  objects: ErasedObject[];
  /** Lines of the log that the database quoted, and that the record in the store still quotes; 0 if it had been removed before. */
  annotations: number;
  record_key: string;
  /** Other jobs whose logs have the same bytes, the first hundred by id. */
  same_text: number[];
  /** Jobs of later attempts that are copies of this one, without a log of their own. */
  copies: number[];
};

/** What `eraseLog` would do now. */
export type ErasurePlan = Pick<Erasure, "job_id" | "annotations" | "record_key" | "same_text" | "copies"> & {
  repository: string | null;
  run_id: number;
  run_attempt: number;
  workflow_name: string | null;
  job_name: string | null;
  /** Objects to remove, each with the published seal that contains it. */
  objects: { object_key: string; version_id: string | null; size_bytes: number; sealed_in: number }[];
};

/**
 * Previews the erasure of a job's log. Changes nothing.
 * @returns undefined if the log was removed before.
 * @throws PermanentError `usage/invalid` in the cases of `eraseLog`.
 */
export async function planErasure(db: Database, jobId: number): Promise<ErasurePlan | undefined> {
  return transact(db, async (trx) => {
    const log = await findErasable(trx, jobId);
    if (log === undefined) return undefined;
    const { rows } = await sql<Omit<ErasurePlan, "same_text" | "copies">>`
      select
        jobs.job_id, full_name as repository, jobs.run_id, jobs.run_attempt, jobs.workflow_name, jobs.job_name, record_key,
        (select count(*) from archive.annotations where annotations.job_id = jobs.job_id) as annotations,
        (
          select json_agg(json_build_object(
            'object_key', object_key, 'version_id', version_id, 'size_bytes', size_bytes, 'sealed_in', sealed_in) order by object_key)
          from archive.objects
          where object_key = any(${log.objects.map(({ object_key }) => object_key)}::text[])
        ) as objects
      from archive.jobs
      join archive.logs on logs.job_id = jobs.job_id
      left join archive.repositories on repositories.repository_id = jobs.repository_id
      where jobs.job_id = ${jobId}
    `.execute(trx);
    const [plan] = rows;
    if (plan === undefined) throw new TypeError(`Job ${jobId} has an archived log and no row.`);
    return { ...plan, ...(await findKin(trx, jobId)) };
  });
}

/**
 * Its archived log, locked; undefined if it was removed before.
 * @throws PermanentError `usage/invalid` if it cannot be erased.
 */
async function findErasable(trx: Database, jobId: number): Promise<RemovableLog | undefined> {
  const [log] = await lockArchivedLogs(trx, [jobId]);
  if (log === undefined) {
    if ((await readErasure(trx, jobId)).objects.length === 0) throw await absentError(trx, jobId);
    return undefined;
  }
  if (log.is_held) throw await heldError(trx, jobId);
  if (isSealed(log)) return log;
  throw refusal(
    `The log of job ${jobId} is not in a published seal yet, and only a sealed log can be erased, since the seal proves that it existed. Run actions-archive seal, or wait for the next seal, then erase it`,
  );
}

/**
 * Decides to remove the log of a job: its row says so from now on, and its tombstone waits for a seal. Idempotent: for a removed log it
 * returns the present state.
 * @param by who decided it; by default the operating system's login.
 * @throws PermanentError `usage/invalid` if there is no archived log, it is held, or it is not in a published seal.
 */
export async function eraseLog(db: Database, jobId: number, reason: string, by?: string): Promise<Erasure> {
  return transact(db, async (trx) => {
    const log = await findErasable(trx, jobId);
    if (log === undefined) {
      const nothing = { annotations: 0, same_text: [], copies: [] };
      return { job_id: jobId, is_new: false, ...nothing, ...(await readErasure(trx, jobId)) };
    }
    const kin = await findKin(trx, jobId);
    const annotations = await countAnnotations(trx, jobId);
    await insertTombstones(trx, [log], { cause: "erase", reason, by });
    return { job_id: jobId, is_new: true, annotations, ...kin, ...(await readErasure(trx, jobId)) };
  });
}

async function readErasure(trx: Database, jobId: number): Promise<Pick<Erasure, "objects" | "record_key">> {
  const { rows: objects } = await sql<ErasedObject>`
    select object_key, size_bytes, cause, tombstones.reason, tombstones.by, decided_at, seals.sequence as sealed_in, removed_at, retained_until, problem
    from archive.tombstones
    left join archive.seals on seals.sequence = tombstones.sealed_in and published_at is not null
    where job_id = ${jobId}
    order by object_key
  `.execute(trx);
  const log = await trx.selectFrom("archive.logs").select("record_key").where("job_id", "=", jobId).executeTakeFirst();
  return { objects, record_key: log?.record_key ?? "" };
}

/** Queried before the row, which has the hash, is changed. */
async function findKin(trx: Database, jobId: number): Promise<Pick<Erasure, "same_text" | "copies">> {
  const { rows } = await sql<{ same_text: number[]; copies: number[] }>`
    select
      array(
        select others.job_id from archive.logs as others
        where others.raw_sha256 = logs.raw_sha256 and others.job_id <> logs.job_id
        order by others.job_id limit 100
      ) as same_text,
      array(
        select copies.job_id from archive.jobs as kin join archive.logs as copies on copies.job_id = kin.job_id
        where kin.run_id = jobs.run_id and copies.copied_from_job_id = logs.job_id
        order by copies.job_id
      ) as copies
    from archive.logs
    join archive.jobs on jobs.job_id = logs.job_id
    where logs.job_id = ${jobId}
  `.execute(trx);
  const [row] = rows;
  // The driver parses bigint, but not arrays of it.
  return { same_text: (row?.same_text ?? []).map(Number), copies: (row?.copies ?? []).map(Number) };
}

async function countAnnotations(trx: Database, jobId: number): Promise<number> {
  const row = await trx
    .selectFrom("archive.annotations")
    .select(({ fn }) => fn.countAll<number>().as("annotations"))
    .where("job_id", "=", jobId)
    .executeTakeFirstOrThrow();
  return row.annotations;
}

async function heldError(trx: Database, jobId: number): Promise<PermanentError> {
  const { rows } = await sql<{ job_id: number; reason: string | null }>`
    select job_id, reason
    from (select distinct on (job_id) job_id, is_held, reason from archive.holds order by job_id, hold_id desc) as newest
    left join archive.logs using (job_id)
    where is_held and ${jobId} in (job_id, copied_from_job_id)
    order by job_id
  `.execute(trx);
  const holds = rows.map(({ job_id, reason }) => `job ${job_id}${reason === null ? "" : `: ${reason}`}`).join("; ");
  return refusal(
    `The log of job ${jobId} is on hold (${holds}) and stays. Release it first: actions-archive hold --release ${rows.map(({ job_id }) => job_id).join(" ")}`,
  );
}

async function absentError(trx: Database, jobId: number): Promise<PermanentError> {
  const { rows } = await sql<{
    repository: string | null;
    log_state: string | null;
    log_reason: string | null;
    copied_from_job_id: number | null;
  }>`
    select
      full_name as repository, coalesce(logs.log_state, log_jobs.log_state, 'pending') as log_state,
      case when logs.job_id is null then log_jobs.log_reason else logs.log_reason end as log_reason, logs.copied_from_job_id
    from (select ${jobId}::bigint as job_id) as asked
    left join archive.jobs on jobs.job_id = asked.job_id
    left join archive.log_jobs on log_jobs.job_id = asked.job_id
    left join archive.logs on logs.job_id = asked.job_id
    left join archive.repositories on repositories.repository_id = coalesce(jobs.repository_id, log_jobs.repository_id)
    where jobs.job_id is not null or log_jobs.job_id is not null
  `.execute(trx);
  const [job] = rows;
  if (job === undefined) return refusal(`No job ${jobId} is known: there is nothing to erase`);
  const original = job.copied_from_job_id;
  if (original !== null)
    return refusal(
      `The log of job ${jobId} is the log of job ${original}, of an earlier attempt: actions-archive erase ${original}`,
    );
  const state = `${job.log_state}${job.log_reason === null ? "" : `: ${job.log_reason}`}`;
  return refusal(
    `The log of job ${jobId}${job.repository === null ? "" : ` in ${job.repository}`} is ${state}; only an archived log can be erased`,
  );
}

function refusal(message: string): PermanentError {
  return new PermanentError("usage/invalid", message);
}
