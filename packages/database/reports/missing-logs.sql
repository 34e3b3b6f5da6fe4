-- Which logs are not archived, and why.
--
-- One row per job, logs that can still be downloaded first, by expiry; then one row per run that ended without a job as
-- startup_failure, failure, timed_out or stale, which no log explains.
-- Jobs without a log of their own are omitted: skipped jobs, jobs without a runner, and copies of an earlier attempt's job. So are
-- runs without a job that were cancelled or wait for an approval (action_required).
--
-- Parameters:
--   since <date or days>  jobs and runs that ended at or after this time; 90 days ago unless given, GitHub's default retention
--   until <date or days>  jobs and runs that ended before this time; no limit unless given
--   repository <owner/name>  only those of this repository; the name is case-sensitive
--   limit <number>  maximum number of rows
-- Columns:
--   log_state, log_reason  pending and failed are retried, absent is final; null if the run ended without a job
--   log_detail  the last error, as text; null if none
--   expires_at  when GitHub removes the log; null if unknown
--   completed_at, repository, workflow_name, conclusion  the job or run, and how it ended
--   job_name, job_id  the job and its id; null if the run ended without a job
--   run_id, run_attempt  GitHub's id of the run, and the attempt that ran the job or ended without one
--   log_tries  failed downloads; null without a job
--   first_seen_at  when this archive first saw the job as completed, or the attempt
-- Cannot know:
--   Jobs that this archive never saw: `actions-archive gaps` lists the spans where these may be.
-- Examples:
--   actions-archive report missing-logs
--   actions-archive report missing-logs --repository my-org/app --since 2026-01-01 --json | jq '.rows[].job_id'

\if :{?since}
\else
  \set since 90
\endif
\if :{?until}
\else
  \set until infinity
\endif
\if :{?repository}
\else
  \set repository ''
\endif
\if :{?limit}
\else
  \set limit 10000
\endif

with missing as (
  select
    log_state, log_reason, log_detail, expires_at, completed_at, repository, workflow_name, job_name, conclusion, job_id, run_id,
    run_attempt, log_tries, first_seen_at
  from audit.jobs
  where completed_at >= audit.parse_time(:'since')
    and completed_at < audit.parse_time(:'until')
    and (:'repository' = '' or repository = :'repository')
    and (
      log_state in ('pending', 'failed')
      or (log_state = 'absent' and log_reason in ('expired', 'deleted', 'removed', 'empty'))
    )
  union all
  -- Only startup_failure never has a job. For the others an empty job list must have been read.
  select
    null, null, 'the run ended without a job', null, coalesce(updated_at, created_at), repository, workflow_name, null, conclusion,
    null, run_id, run_attempt, null, first_seen_at
  from audit.attempts
  where coalesce(updated_at, created_at) >= audit.parse_time(:'since')
    and coalesce(updated_at, created_at) < audit.parse_time(:'until')
    and (:'repository' = '' or repository = :'repository')
    and (
      (conclusion = 'startup_failure' and coalesce(listed_jobs, 0) = 0)
      or (conclusion in ('failure', 'timed_out', 'stale') and listed_jobs = 0)
    )
)
select
  log_state, log_reason, log_detail, expires_at, completed_at, repository, workflow_name, job_name, conclusion, job_id, run_id,
  run_attempt, log_tries, first_seen_at
from missing
order by log_state = 'absent', expires_at, completed_at desc, job_id desc, run_id desc
limit :'limit'::bigint;
