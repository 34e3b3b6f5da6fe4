-- Which jobs had a GITHUB_TOKEN that could write, and what.
--
-- A row for each job of a workflow and set of scopes, the largest set first, by the runner's own words in the jobs' logs.
-- The last statement counts what could not be read, so that an empty answer can be believed: logs that are pending, failed or gone,
-- logs that were archived without a search of their text, lists that were cut, and jobs that this archive has not listed.
--
-- Parameters:
--   since <date or days>  jobs that completed at this instant or later; 30 days ago unless given
--   until <date or days>  jobs that completed before this instant; to the newest unless given
--   repository <owner/name>  jobs of this repository alone, by its name as GitHub writes it
--   limit <number>  so many rows at most
-- Columns:
--   repository, workflow_name, job_name  which job
--   write_scopes  what its token could write: Contents, Packages, …
--   jobs  how often it ran so
--   first_completed_at, last_completed_at, last_job_id  the first and the last of these times
-- Cannot know:
--   What other secrets of a job could do, and whether the token was used.
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
  where job_completed_at >= audit.instant(:'since')
    and job_completed_at < audit.instant(:'until')
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

-- What could not be read: another row may hide there.
select unread, count
from audit.unread('permissions', audit.instant(:'since'), audit.instant(:'until'), :'repository')
order by count desc, unread;
