-- Which jobs failed, at which step, with which errors.
--
-- A row for each job, the newest first.
--
-- Parameters:
--   since <date or days>  jobs that completed at this instant or later; 30 days ago unless given
--   until <date or days>  jobs that completed before this instant; to the newest unless given
--   repository <owner/name>  jobs of this repository alone, by its name as GitHub writes it
--   branch <name>  jobs of this branch or tag alone, exactly
--   limit <number>  so many rows at most
-- Columns:
--   completed_at, repository, workflow_name, job_name, conclusion  which job, and how it ended
--   head_branch, head_sha, actor  of its run
--   job_id, run_id, run_attempt  GitHub's ids, and the attempt that ran the job
--   step_number, step_name  the first step that failed; null where none did, as when no runner came
--   error_lines  the first 20 errors of that step, and of lines that no step owns for certain, each with all of its lines; null
--     where the log has none
--   log_state, log_reason  whether there is a log: without one there are no errors
-- Cannot know:
--   Errors that a program prints in other words than the runner's marks; those between the first and the last 200 of a log.
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

with failed as (
  select completed_at, repository, workflow_name, job_name, conclusion, head_branch, head_sha, actor, job_id, run_id, run_attempt,
    log_state, log_reason
  from audit.jobs
  where completed_at >= audit.instant(:'since')
    and completed_at < audit.instant(:'until')
    and (:'repository' = '' or repository = :'repository')
    and (:'branch' = '' or head_branch = :'branch')
    and conclusion in ('failure', 'timed_out')
  order by completed_at desc, job_id desc
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
order by completed_at desc, job_id desc;
