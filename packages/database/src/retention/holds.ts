// Legal holds: an append-only table whose newest row of a job is in force. A held log is never removed.

import { PermanentError } from "@actions-archive/core/errors";
import { sql } from "kysely";

import { actorOf, type Ascription } from "../connection/actor.ts";
import { type Database, transact } from "../connection/open-database.ts";
import { lockJobs } from "../ledger/log-jobs.ts";

/** Jobs whose logs must stay, as `(select job_id …)`: held jobs, and originals of held copies, whose log is the same object. */
export const heldJobs = sql`(
  with newest as (
    select distinct on (job_id) job_id, is_held from archive.holds order by job_id, hold_id desc
  )
  select job_id from newest where is_held
  union
  select copied_from_job_id from archive.logs join newest using (job_id) where is_held and copied_from_job_id is not null
)`;

export type HoldRequest = Pick<Ascription, "by"> & {
  readonly jobIds: readonly number[];
  /** False releases. */
  readonly isHeld: boolean;
  /** The operator's words. */
  readonly reason: string | null;
};

export type HeldJob = {
  job_id: number;
  repository: string;
  is_held: boolean;
  reason: string | null;
  /** Who set or released it; null if not recorded. */
  by: string | null;
  changed_at: Date;
  /** Whether this call changed it. */
  is_changed: boolean;
  log_state: string;
  log_reason: string | null;
};

/**
 * Sets or releases holds, all or none. Idempotent: a job that is held for the same reason, or held when none is given, is unchanged.
 * Waits for a removal of these logs in progress, so that what is held when this returns stays.
 * @throws PermanentError `usage/invalid` for an unknown job, and for the release of a job that is not held.
 */
export async function holdJobs(db: Database, { jobIds, isHeld, reason, by: named }: HoldRequest): Promise<HeldJob[]> {
  const { by, os_user } = actorOf(named);
  const ids = [...new Set(jobIds)].toSorted((a, b) => a - b);
  return transact(db, async (trx) => {
    await lockLogs(trx, ids);
    const before = await listHoldsOf(trx, ids);
    const known = new Map(before.map((job) => [job.job_id, job]));
    const wrong = ids.flatMap((id) => {
      const job = known.get(id);
      if (job === undefined) return [`No job ${id} is known`];
      return isHeld || job.is_held ? [] : [`Job ${id} in ${job.repository} is not on hold`];
    });
    if (wrong.length > 0) throw new PermanentError("usage/invalid", `${wrong.join(". ")}. No hold was changed`);
    const changing = before.filter((job) => job.is_held !== isHeld || (isHeld && reason !== null && job.reason !== reason));
    await sql`
      insert into archive.holds (job_id, is_held, reason, by, os_user)
      select job_id, ${isHeld}, ${reason}::text, ${by}::text, ${os_user}::text
      from unnest(${sql.val(changing.map(({ job_id }) => job_id))}::bigint[]) as job_id
      order by job_id
    `.execute(trx);
    const changed = new Set(changing.map(({ job_id }) => job_id));
    return (await listHoldsOf(trx, ids)).map((job) => ({
      ...job,
      changed_at: job.changed_at ?? new Date(),
      is_changed: changed.has(job.job_id),
    }));
  });
}

// In the lock order of the writers of these rows. A removal locks its tombstone while the store removes the object.
async function lockLogs(trx: Database, jobIds: readonly number[]): Promise<void> {
  await lockJobs(trx, jobIds);
  const ofJobs = sql`where job_id = any(${sql.val(jobIds)}::bigint[])`;
  await sql`select from archive.logs ${ofJobs} order by job_id for no key update`.execute(trx);
  await sql`select from archive.tombstones ${ofJobs} order by object_key for no key update`.execute(trx);
}

type JobHold = Omit<HeldJob, "is_changed" | "changed_at"> & { changed_at: Date | null };

async function listHoldsOf(trx: Database, jobIds: readonly number[]): Promise<JobHold[]> {
  const { rows } = await sql<JobHold>`
    select
      job_id, coalesce(full_name, known.repository_id::text) as repository, coalesce(newest.is_held, false) as is_held,
      newest.reason, newest.by, newest.changed_at,
      coalesce(logs.log_state, known.log_state, 'pending') as log_state,
      case when logs.job_id is null then known.log_reason else logs.log_reason end as log_reason
    from (
      select
        job_id, coalesce(jobs.repository_id, log_jobs.repository_id) as repository_id,
        log_jobs.log_state, log_jobs.log_reason
      from unnest(${sql.val(jobIds)}::bigint[]) as asked(job_id)
      left join archive.jobs using (job_id)
      left join archive.log_jobs using (job_id)
      where jobs.job_id is not null or log_jobs.job_id is not null
    ) as known
    left join archive.repositories on repositories.repository_id = known.repository_id
    left join archive.logs using (job_id)
    left join lateral (
      select is_held, reason, by, changed_at from archive.holds
      where holds.job_id = known.job_id
      order by hold_id desc
      limit 1
    ) as newest on true
    order by job_id
  `.execute(trx);
  return rows;
}

export type Hold = Omit<HeldJob, "is_held" | "is_changed">;

/** Held jobs, newest hold first. */
export async function listHolds(db: Database): Promise<Hold[]> {
  const { rows } = await sql<Hold>`
    select
      newest.job_id, coalesce(full_name, jobs.repository_id::text, '') as repository, newest.reason, newest.by, newest.changed_at,
      coalesce(logs.log_state, log_jobs.log_state, 'pending') as log_state,
      case when logs.job_id is null then log_jobs.log_reason else logs.log_reason end as log_reason
    from (
      select distinct on (job_id) job_id, is_held, reason, by, changed_at, hold_id from archive.holds order by job_id, hold_id desc
    ) as newest
    left join archive.jobs on jobs.job_id = newest.job_id
    left join archive.log_jobs on log_jobs.job_id = newest.job_id
    left join archive.logs on logs.job_id = newest.job_id
    left join archive.repositories on repositories.repository_id = coalesce(jobs.repository_id, log_jobs.repository_id)
    where is_held
    order by newest.hold_id desc
  `.execute(db);
  return rows;
}
