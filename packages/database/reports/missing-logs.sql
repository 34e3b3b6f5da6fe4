-- Which logs are not archived, and why.
--
-- A row for each job: what can still be had first, the earliest expiry before all. Then a row for each run that ended without a job
-- and for which no one decided that: startup_failure, failure, timed_out and stale. There is no log to explain such an end.
-- What never had a log of its own is left out: jobs that were skipped or had no runner, copies of an earlier attempt's job, and runs
-- that were cancelled before they had a job or wait for an approval (action_required).
--
-- Parameters:
--   since <date or days>  jobs and runs that ended at this instant or later; 90 days ago unless given, as long as GitHub keeps logs by default
--   until <date or days>  jobs and runs that ended before this instant; to the newest unless given
--   repository <owner/name>  those of this repository alone, by its name as GitHub writes it
--   limit <number>  so many rows at most
-- Columns:
--   log_state, log_reason  pending and failed are retried; absent is final; null where the run ended without a job
--   log_detail  more of why; null where there is no more to say
--   expires_at  when GitHub removes the log; null where the ledger does not say
--   completed_at, repository, workflow_name, conclusion  which job or run, and how it ended
--   job_name, job_id  the job, and GitHub's id of it; null where the run ended without a job
--   run_id, run_attempt  GitHub's id of the run, and the attempt that ran the job or ended without one
--   log_tries  how many requests for it failed; null where there is no job
--   first_seen_at  when this archive first saw the job as completed, or the attempt
-- Cannot know:
--   Jobs that this archive never saw: `actions-archive gaps` lists where those may be.
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
  where completed_at >= audit.instant(:'since')
    and completed_at < audit.instant(:'until')
    and (:'repository' = '' or repository = :'repository')
    and (
      log_state in ('pending', 'failed')
      or (log_state = 'absent' and log_reason in ('expired', 'deleted', 'removed', 'empty'))
    )
  union all
  -- Of these only startup_failure never has a job. For the others the list of jobs must have said that there is none.
  select
    null, null, 'the run ended without a job', null, coalesce(updated_at, created_at), repository, workflow_name, null, conclusion,
    null, run_id, run_attempt, null, first_seen_at
  from audit.attempts
  where coalesce(updated_at, created_at) >= audit.instant(:'since')
    and coalesce(updated_at, created_at) < audit.instant(:'until')
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
