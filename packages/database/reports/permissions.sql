-- Which jobs had a GITHUB_TOKEN that could write, and what.
--
-- One row per job of a workflow and set of scopes, largest set first, as the runner printed them in the jobs' logs.
-- The last statement counts what could not be read: pending, failed and missing logs, logs archived without text extraction,
-- truncated lists, and spans that were never listed. Zero rows are an answer only when nothing was unread.
--
-- Parameters:
--   since <date or days>  jobs that completed at or after this time; 30 days ago unless given
--   until <date or days>  jobs that completed before this time; no limit unless given
--   repository <owner/name>  only jobs of this repository; the name is case-sensitive
--   limit <number>  maximum number of rows
-- Columns:
--   repository, workflow_name, job_name  the job
--   write_scopes  what its token could write: Contents, Packages, …
--   jobs  how often it ran with these scopes
--   first_completed_at, last_completed_at, last_job_id  the first and the last of these executions
-- Cannot know:
--   The permissions of a job's other secrets, and whether the token was used.
-- Examples:
--   actions-archive report permissions --since 90 --csv
--   actions-archive report permissions --json | jq '.rows[] | select(.write_scopes | index("Contents"))'

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

with jobs as (
  select repository, workflow_name, job_name, job_id, job_completed_at, array_agg(scope order by scope) as write_scopes
  from audit.permissions
  where job_completed_at >= audit.parse_time(:'since')
    and job_completed_at < audit.parse_time(:'until')
    and (:'repository' = '' or repository = :'repository')
    and access = 'write'
  group by repository, workflow_name, job_name, job_id, job_completed_at
)
select
  repository, workflow_name, job_name, write_scopes,
  count(*) as jobs,
  min(job_completed_at) as first_completed_at,
  max(job_completed_at) as last_completed_at,
  max(job_id) as last_job_id
from jobs
group by repository, workflow_name, job_name, write_scopes
order by cardinality(write_scopes) desc, jobs desc, repository, workflow_name, job_name, write_scopes
limit :'limit'::bigint;

-- What could not be read, where further rows may be.
select unread, count
from audit.unread_counts('permissions', audit.parse_time(:'since'), audit.parse_time(:'until'), :'repository')
order by count desc, unread;
