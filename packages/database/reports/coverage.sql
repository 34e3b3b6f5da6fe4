-- How much of each repository's runs and logs is archived.
--
-- One row per repository, incomplete ones first. The span applies to the runs' created_at, in whole days.
--
-- Parameters:
--   since <date or days>  runs created at or after this time; 30 days ago unless given
--   until <date or days>  runs created before this time; no limit unless given
--   repository <owner/name>  only this repository; the name is case-sensitive
--   limit <number>  maximum number of rows
-- Columns:
--   repository  the current owner/name
--   complete  true if every run of the span is listed, every job loaded, and every log archived or absent with a record
--   days, incomplete_days  days (or parts) in which all runs were listed, and those that still owe jobs or logs
--   open_windows  spans in which runs are not listed
--   covered_from, covered_until  start and end of the listed time
--   runs_found, attempts_found, jobs_found, jobs_loaded, logs_archived, logs_absent, logs_pending, logs_failed  counts
-- Cannot know:
--   Runs that were deleted at GitHub before this archive saw them.
-- Examples:
--   actions-archive report coverage
--   actions-archive report coverage --since 2026-01-01 --json | jq '.rows[] | select(.complete | not) | .repository'

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

with days as (
  select
    repository_id,
    count(*) as days,
    count(*) filter (where not complete) as incomplete_days,
    min(window_start) as covered_from,
    max(window_end) as covered_until,
    sum(runs_found)::bigint as runs_found,
    sum(attempts_found)::bigint as attempts_found,
    sum(jobs_found)::bigint as jobs_found,
    sum(jobs_loaded)::bigint as jobs_loaded,
    sum(logs_archived)::bigint as logs_archived,
    sum(logs_absent)::bigint as logs_absent,
    sum(logs_pending)::bigint as logs_pending,
    sum(logs_failed)::bigint as logs_failed
  from audit.coverage
  where window_end > audit.parse_time(:'since')
    and window_start < audit.parse_time(:'until')
    and (:'repository' = '' or repository = :'repository')
  group by repository_id
),
gaps as (
  select repository_id, count(*) as open_windows
  from audit.gaps
  where kind in ('window_open', 'second_full')
    and (window_start is null or window_start < audit.parse_time(:'until'))
    and (window_end is null or window_end > audit.parse_time(:'since'))
  group by repository_id
)
select
  repositories.repository,
  coalesce(days.days > 0 and days.incomplete_days = 0 and gaps.open_windows is null, false) as complete,
  coalesce(days.days, 0) as days,
  coalesce(days.incomplete_days, 0) as incomplete_days,
  coalesce(gaps.open_windows, 0) as open_windows,
  days.covered_from,
  days.covered_until,
  coalesce(days.runs_found, 0) as runs_found,
  coalesce(days.attempts_found, 0) as attempts_found,
  coalesce(days.jobs_found, 0) as jobs_found,
  coalesce(days.jobs_loaded, 0) as jobs_loaded,
  coalesce(days.logs_archived, 0) as logs_archived,
  coalesce(days.logs_absent, 0) as logs_absent,
  coalesce(days.logs_pending, 0) as logs_pending,
  coalesce(days.logs_failed, 0) as logs_failed
from audit.repositories
left join days on days.repository_id = repositories.repository_id
left join gaps on gaps.repository_id = repositories.repository_id
where :'repository' = '' or repositories.repository = :'repository'
order by complete, repositories.repository
limit :'limit'::bigint;
