-- Which jobs failed, at which step, with which errors.
--
-- One row per job that failed or timed out, and per run that failed before it had a job, newest first.
-- A run with an invalid workflow file ends without a job as startup_failure or failure. Its row has no job, step or log.
-- Three other conclusions without a job are not failures and are omitted: action_required (waits for an approval), cancelled
-- (by a person or a concurrency group) and stale (GitHub closed a run that had waited for 14 days).
--
-- Parameters:
--   since <date or days>  jobs and runs that ended at or after this time; 30 days ago unless given
--   until <date or days>  jobs and runs that ended before this time; no limit unless given
--   repository <owner/name>  only those of this repository; the name is case-sensitive
--   branch <name>  only those of exactly this branch or tag
--   limit <number>  maximum number of rows
-- Columns:
--   completed_at, repository, workflow_name, conclusion  the job or run, and how it ended
--   job_name, job_id  the job and its id; null if the run ended before it had a job
--   head_branch, head_sha, actor  of its run
--   run_id, run_attempt  GitHub's id of the run, and the attempt that failed
--   step_number, step_name  the first step that failed; null if none did, as without a runner
--   error_lines  the first 20 errors of that step, and of lines that belong to no certain step, each with all its lines; null if
--     the log has none
--   log_state, log_reason  of the log, without which there are no error_lines; null without a job
-- Cannot know:
--   Errors printed without the runner's error marker, and those between the first and the last 200 of a log. Why a run failed
--   before it had a job: GitHub shows this on the run's page and not in its API.
-- Examples:
--   actions-archive report failures --since 1
--   actions-archive report failures --repository my-org/app --branch main --json | jq '.rows[].error_lines'

\if :{?since}
\else
  \set since 30
\endif
\if :{?until}
\else
  \set until infinity
\endif
\if :{?repository}
\else
  \set repository ''
\endif
\if :{?branch}
\else
  \set branch ''
\endif
\if :{?limit}
\else
  \set limit 10000
\endif

with failed_jobs as (
  select completed_at, repository, workflow_name, job_name, conclusion, head_branch, head_sha, actor, job_id, run_id, run_attempt,
    log_state, log_reason
  from audit.jobs
  where completed_at >= audit.parse_time(:'since')
    and completed_at < audit.parse_time(:'until')
    and (:'repository' = '' or repository = :'repository')
    and (:'branch' = '' or head_branch = :'branch')
    and conclusion in ('failure', 'timed_out')
  order by completed_at desc, job_id desc
  limit :'limit'::bigint
),
-- A run with conclusion failure counts as one without jobs only once its empty job list was read.
failed_runs as (
  select coalesce(updated_at, created_at) as completed_at, repository, workflow_name, null::text as job_name, conclusion, head_branch,
    head_sha, actor, null::bigint as job_id, run_id, run_attempt, null::text as log_state, null::text as log_reason
  from audit.attempts
  where coalesce(updated_at, created_at) >= audit.parse_time(:'since')
    and coalesce(updated_at, created_at) < audit.parse_time(:'until')
    and (:'repository' = '' or repository = :'repository')
    and (:'branch' = '' or head_branch = :'branch')
    and (
      (conclusion = 'startup_failure' and coalesce(listed_jobs, 0) = 0)
      or (conclusion in ('failure', 'timed_out') and listed_jobs = 0)
    )
),
failed as (
  select * from failed_jobs
  union all
  select * from failed_runs
  order by completed_at desc, job_id desc, run_id desc
  limit :'limit'::bigint
)
select
  completed_at, repository, workflow_name, job_name, conclusion, head_branch, head_sha, actor, job_id, run_id, run_attempt,
  step_number, step_name, error_lines, log_state, log_reason
from failed
left join lateral (
  select step_number, step_name
  from audit.steps
  where steps.job_id = failed.job_id and steps.conclusion in ('failure', 'timed_out')
  order by step_number
  limit 1
) as step on true
left join lateral (
  select array_agg(message order by line_number) as error_lines
  from (
    select line_number, message
    from audit.annotations
    where annotations.job_id = failed.job_id
      and annotations.level = 'error'
      and (step.step_number is null or annotations.step_number is null or annotations.step_number = step.step_number)
    order by line_number
    limit 20
  ) as first_errors
) as errors on true
order by completed_at desc, job_id desc, run_id desc;
