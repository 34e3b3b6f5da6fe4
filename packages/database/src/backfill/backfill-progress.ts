// Progress of backfills, for `backfill list`, `backfill show` and `--wait`.

import { sql } from "kysely";

import type { Gap } from "../audit/gaps.ts";
import type { Database } from "../connection/open-database.ts";
import type { BackfillState } from "./backfills.ts";

export type BackfillSummary = {
  backfill_id: number;
  state: BackfillState;
  asked_for: string[];
  since: Date;
  until: Date;
  created_at: Date;
  ended_at: Date | null;
  repositories: number;
  repositories_done: number;
};

/** Newest first. */
export async function listBackfills(db: Database): Promise<BackfillSummary[]> {
  return summaries(db, null);
}

export async function findBackfill(db: Database, backfillId: number): Promise<BackfillSummary | undefined> {
  return (await summaries(db, backfillId))[0];
}

async function summaries(db: Database, backfillId: number | null): Promise<BackfillSummary[]> {
  const { rows } = await sql<BackfillSummary>`
    select backfill_id, state, asked_for, since, until, created_at, ended_at,
      count(repository_id)::integer as repositories, count(done_at)::integer as repositories_done
    from archive.backfills
    left join archive.backfill_repositories using (backfill_id)
    where ${backfillId}::bigint is null or backfill_id = ${backfillId}
    group by backfill_id
    order by backfill_id desc
  `.execute(db);
  return rows;
}

export type RepositoryProgress = {
  repository: string;
  done: boolean;
  /** Listed share of the span, in percent. */
  listed_percent: number;
  estimated_runs: number | null;
  runs: number;
  /** Attempts with unlisted jobs, including those of runs in progress. */
  attempts_open: number;
  jobs: number;
  archived: number;
  absent: number;
  failed: number;
  pending: number;
  problem: string | null;
};

/** By name. Counts all runs of the span, also those that a poll found. Takes a second for some 300,000 jobs. */
export async function listRepositoryProgress(db: Database, backfillId: number): Promise<RepositoryProgress[]> {
  const { rows } = await sql<RepositoryProgress>`
    with work as (
      select repository_id, since, until, listed_from, estimated_runs, done_at, work.problem
      from archive.backfill_repositories as work
      join archive.backfills using (backfill_id)
      where backfill_id = ${backfillId}
    ),
    in_span as (
      select runs.repository_id, run_id
      from work
      join archive.runs on runs.repository_id = work.repository_id and created_at >= since and created_at < until
    ),
    found_runs as (select repository_id, count(*)::integer as runs from in_span group by 1),
    open_attempts as (
      select in_span.repository_id, count(*)::integer as attempts
      from in_span join archive.attempts using (run_id)
      where state = 'open'
      group by 1
    ),
    found_jobs as (
      select in_span.repository_id, count(*)::integer as jobs,
        (count(*) filter (where log_state = 'archived'))::integer as archived,
        (count(*) filter (where log_state = 'absent'))::integer as absent,
        (count(*) filter (where log_state = 'failed'))::integer as failed,
        (count(*) filter (where log_state = 'pending'))::integer as pending
      from in_span join archive.log_jobs using (run_id)
      group by 1
    )
    select full_name as repository, done_at is not null as done,
      round(100 * extract(epoch from until - greatest(listed_from, since)) / extract(epoch from until - since))::integer as listed_percent,
      estimated_runs, coalesce(runs, 0) as runs, coalesce(attempts, 0) as attempts_open, coalesce(jobs, 0) as jobs,
      coalesce(archived, 0) as archived, coalesce(absent, 0) as absent, coalesce(failed, 0) as failed, coalesce(pending, 0) as pending,
      work.problem
    from work
    join archive.repositories using (repository_id)
    left join found_runs using (repository_id)
    left join open_attempts using (repository_id)
    left join found_jobs using (repository_id)
    order by full_name
  `.execute(db);
  return rows;
}

/** Gaps of audit.gaps within the span of a backfill. */
export async function listBackfillGaps(db: Database, backfillId: number, limit: number): Promise<Gap[]> {
  const { rows } = await sql<Gap>`
    select gaps.kind, gaps.repository, gaps.run_id, gaps.run_attempt, gaps.job_id, gaps.window_start, gaps.window_end, gaps.reason, gaps.detail, gaps.since
    from audit.gaps
    join archive.backfill_repositories as work on work.repository_id = gaps.repository_id and work.backfill_id = ${backfillId}
    join archive.backfills on backfills.backfill_id = work.backfill_id
    left join archive.runs on runs.run_id = gaps.run_id
    where case
      when gaps.run_id is not null then runs.created_at >= backfills.since and runs.created_at < backfills.until
      else tstzrange(gaps.window_start, gaps.window_end) && tstzrange(backfills.since, backfills.until)
    end
    order by gaps.kind, gaps.since, gaps.run_id, gaps.job_id
    limit ${limit}
  `.execute(db);
  return rows;
}

/** Whether any fetcher, which runs backfills, works on this database. */
export async function isFetcherConnected(db: Database, applicationName: string): Promise<boolean> {
  const { rows } = await sql`
    select from pg_stat_activity where datname = current_database() and application_name = ${applicationName} limit 1
  `.execute(db);
  return rows.length > 0;
}
