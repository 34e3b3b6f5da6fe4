// Counts and lists for operators: archived, owed and failed.

import { sql } from "kysely";

import type { Database } from "../connection/open-database.ts";
import { isWindowIncomplete, isLagging } from "./rechecks.ts";

export type WorkCounts = {
  jobs: number;
  pending: number;
  /** Those of paused backfills, whose logs are not requested. */
  paused: number;
  archived: number;
  absent: number;
  failed: number;
  /** Jobs whose rows are owed. */
  unloadedJobs: number;
  /** Listed attempts whose run record is owed. */
  unrecordedAttempts: number;
  /**
   * Attempts that have ended and still owe jobs. Excludes those that completed moments ago, those that are gaps of their own, and those
   * of backfills, which check their own.
   */
  laggingAttempts: number;
  /** Spans that GitHub showed incompletely and that are listed again soon. */
  incompleteWindows: number;
  /** Repositories of running backfills that can continue and are not done. */
  openBackfills: number;
};

/** Counts of archived and owed items, in one query. */
export async function countWork(db: Database): Promise<WorkCounts> {
  const { rows } = await sql<WorkCounts>`
    select
      count(*)::int as jobs,
      (count(*) filter (where log_state = 'pending'))::int as pending,
      (count(*) filter (where log_state = 'pending'
        and backfill_id = any(array(select backfill_id from archive.backfills where state = 'paused'))))::int as paused,
      (count(*) filter (where log_state = 'archived'))::int as archived,
      (count(*) filter (where log_state = 'absent'))::int as absent,
      (count(*) filter (where log_state = 'failed'))::int as failed,
      (count(*) filter (where rows_loaded_at is null))::int as "unloadedJobs",
      (select count(*) from archive.attempts where state = 'listed' and record_key is null)::int as "unrecordedAttempts",
      (select count(*)
        from archive.attempts
        join archive.repositories using (repository_id)
        join archive.runs using (run_id)
        left join archive.backfills using (backfill_id)
        where is_selected and ${isLagging}
          and (backfills.state is null or backfills.state not in ('running', 'paused')))::int as "laggingAttempts",
      (select count(*) from archive.window_checks join archive.repositories using (repository_id)
        where is_selected and ${isWindowIncomplete})::int as "incompleteWindows",
      (select count(*) from archive.backfill_repositories join archive.backfills using (backfill_id)
        where state = 'running' and done_at is null and problem is null)::int as "openBackfills"
    from archive.log_jobs
  `.execute(db);
  const [counts] = rows;
  if (counts === undefined) throw new Error("an aggregate without a group answers with one row");
  return counts;
}

/** Whether a pending log is due within `seconds`, or its record only waits to be loaded. */
export async function hasLogsDueWithin(db: Database, seconds: number): Promise<boolean> {
  const row = await db
    .selectFrom("archive.log_jobs")
    .select("job_id")
    .where("log_state", "=", "pending")
    .where((eb) =>
      eb.or([eb("due_at", "<=", sql<Date>`now() + make_interval(secs => ${seconds})`), eb("record_key", "is not", null)]),
    )
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}

export type ReasonCount = { log_state: string; reason: string | null; jobs: number; raw_bytes: number; stored_bytes: number };

/** Jobs and bytes by log state and reason. */
export async function countByReason(db: Database): Promise<ReasonCount[]> {
  const { rows } = await sql<ReasonCount>`
    select log_jobs.log_state, log_jobs.log_reason as reason, count(*)::int as jobs,
      coalesce(sum(logs.raw_bytes), 0)::bigint as raw_bytes, coalesce(sum(logs.stored_bytes), 0)::bigint as stored_bytes
    from archive.log_jobs
    left join archive.logs using (job_id)
    group by 1, 2
    order by 1, 2
  `.execute(db);
  return rows;
}

export type ArchiveSize = { repositories: number; runs: number; attempts: number; jobs: number; steps: number };

export async function measureArchive(db: Database): Promise<ArchiveSize> {
  const { rows } = await sql<ArchiveSize>`
    select
      (select count(*) from archive.repositories where is_selected)::int as repositories,
      (select count(*) from archive.runs)::int as runs,
      (select count(*) from archive.attempts)::int as attempts,
      (select count(*) from archive.jobs)::int as jobs,
      (select count(*) from archive.steps)::int as steps
  `.execute(db);
  return rows[0] ?? { repositories: 0, runs: 0, attempts: 0, jobs: 0, steps: 0 };
}
