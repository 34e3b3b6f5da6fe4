-- Which logs are not archived, and why.
--
-- A row for each job: what can still be had first, the earliest expiry before all.
-- Jobs that never had a log of their own are not among them: those that were skipped or had no runner, and copies of an earlier
-- attempt's job.
--
-- Parameters:
--   since <date or days>  jobs that completed at this instant or later; 90 days ago unless given, as long as GitHub keeps logs by default
--   until <date or days>  jobs that completed before this instant; to the newest unless given
--   repository <owner/name>  jobs of this repository alone, by its name as GitHub writes it
--   limit <number>  so many rows at most
-- Columns:
--   log_state, log_reason, log_detail  pending and failed are asked for again; absent is for good
--   expires_at  when GitHub removes the log; null where the ledger does not say
--   completed_at, repository, workflow_name, job_name, conclusion  which job
--   job_id, run_id, run_attempt  GitHub's ids, and the attempt that ran the job
--   log_tries  how often it was asked for in vain
--   first_seen_at  when this archive first saw the job as completed
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
order by log_state = 'absent', expires_at, completed_at desc, job_id desc
limit :'limit'::bigint;
