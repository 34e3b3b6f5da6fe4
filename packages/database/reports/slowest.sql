-- What takes longest, and whether it became slower.
--
-- Compares the span with the preceding one of the same length. One row per job of a workflow (or per workflow, or step), largest p95
-- first. Skipped and cancelled ones are excluded.
--
-- Parameters:
--   by <workflow|job|step>  subject of a row, job unless given; a workflow's duration is that of one attempt, from the first start of
--     a job to the last end
--   since <date or days>  jobs that completed at or after this time; 30 days ago unless given
--   until <date or days>  jobs that completed before this time; no limit unless given
--   repository <owner/name>  only jobs of this repository; the name is case-sensitive
--   limit <number>  maximum number of rows
-- Columns:
--   repository, workflow_name, job_name, step_name  job_name and step_name are null if by is a wider subject
--   times  number of durations in the span
--   p50_seconds, p95_seconds  percentiles of these durations; with few of them, the p95 is the longest
--   total_seconds  their sum
--   times_before, p50_seconds_before, p95_seconds_before  the same for the preceding span; null if nothing ran
--   p50_change_percent  relative to the preceding span; null without one
-- Cannot know:
--   How long a job waited for a runner: durations begin at its start.
-- Examples:
--   actions-archive report slowest --since 7
--   actions-archive report slowest --by step --repository my-org/app --limit 20

\if :{?by}
\else
  \set by job
\endif
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
\if :{?limit}
\else
  \set limit 10000
\endif

with durations as (
  select repository, workflow_name, job_name, null as step_name, completed_at, duration_seconds
  from audit.jobs
  where :'by' = 'job'
    and conclusion in ('success', 'failure', 'timed_out')
    and completed_at >= audit.parse_time(:'since') - (least(audit.parse_time(:'until'), now()) - audit.parse_time(:'since'))
    and completed_at < audit.parse_time(:'until')
    and (:'repository' = '' or repository = :'repository')
  union all
  select repository, workflow_name, null, null, max(completed_at),
    greatest(0, floor(extract(epoch from max(completed_at) - min(started_at)))::bigint)
  from audit.jobs
  where :'by' = 'workflow'
    and conclusion in ('success', 'failure', 'timed_out')
    and completed_at >= audit.parse_time(:'since') - (least(audit.parse_time(:'until'), now()) - audit.parse_time(:'since'))
    and completed_at < audit.parse_time(:'until')
    and (:'repository' = '' or repository = :'repository')
  group by repository, workflow_name, run_id, run_attempt
  union all
  select repository, workflow_name, job_name, step_name, job_completed_at, duration_seconds
  from audit.steps
  where :'by' = 'step'
    and conclusion in ('success', 'failure', 'timed_out')
    and job_completed_at >= audit.parse_time(:'since') - (least(audit.parse_time(:'until'), now()) - audit.parse_time(:'since'))
    and job_completed_at < audit.parse_time(:'until')
    and (:'repository' = '' or repository = :'repository')
),
spans as (
  select
    repository, workflow_name, job_name, step_name, completed_at >= audit.parse_time(:'since') as is_now,
    count(*) as times,
    percentile_disc(0.5) within group (order by duration_seconds) as p50,
    percentile_disc(0.95) within group (order by duration_seconds) as p95,
    sum(duration_seconds)::bigint as total
  from durations
  where duration_seconds is not null
  group by 1, 2, 3, 4, 5
)
select
  repository, workflow_name, job_name, step_name,
  max(times) filter (where is_now) as times,
  max(p50) filter (where is_now) as p50_seconds,
  max(p95) filter (where is_now) as p95_seconds,
  max(total) filter (where is_now) as total_seconds,
  max(times) filter (where not is_now) as times_before,
  max(p50) filter (where not is_now) as p50_seconds_before,
  max(p95) filter (where not is_now) as p95_seconds_before,
  round(100.0 * (max(p50) filter (where is_now) - max(p50) filter (where not is_now))
    / nullif(max(p50) filter (where not is_now), 0))::bigint as p50_change_percent
from spans
group by repository, workflow_name, job_name, step_name
having bool_or(is_now)
order by p95_seconds desc, total_seconds desc, repository, workflow_name, job_name, step_name
limit :'limit'::bigint;
