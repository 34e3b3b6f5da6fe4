-- Which actions ran, at which refs and commits, and how often.
--
-- A row for each action, ref and commit, what most jobs used first. Two commits behind one ref are two rows: a tag that was moved.
-- The last statement counts what could not be read, so that an empty answer can be believed: logs that are pending, failed or gone,
-- logs that were archived without a search of their text, lists that were cut, and jobs that this archive has not listed.
--
-- Parameters:
--   since <date or days>  jobs that completed at this instant or later; 30 days ago unless given
--   until <date or days>  jobs that completed before this instant; to the newest unless given
--   repository <owner/name>  jobs of this repository alone, by its name as GitHub writes it
--   limit <number>  so many rows at most
-- Columns:
--   action, ref, sha  as the runner got it; names of actions in lower case
--   jobs, repositories  how many jobs, of how many repositories, ran it
--   first_used_at, last_used_at  by the times of the logs
--   last_job_id  the largest id of these jobs
-- Cannot know:
--   What an action downloads by itself, and actions of this very repository by ./path, which the runner does not download.
--   Those by $/path are here, as owner/name/path at the commit of the workflow.
-- Examples:
--   actions-archive report actions --since 90 --csv > actions.csv
--   actions-archive report actions --repository my-org/app

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

select
  action_lower as action, ref, sha,
  count(distinct job_id) as jobs,
  count(distinct repository_id) as repositories,
  min(used_at) as first_used_at,
  max(used_at) as last_used_at,
  max(job_id) as last_job_id
from audit.action_uses
where job_completed_at >= audit.instant(:'since')
  and job_completed_at < audit.instant(:'until')
  and (:'repository' = '' or repository = :'repository')
group by action_lower, ref, sha
order by jobs desc, action, ref, sha
limit :'limit'::bigint;

-- What could not be read: another row may hide there.
select unread, count
from audit.unread('actions', audit.instant(:'since'), audit.instant(:'until'), :'repository')
order by count desc, unread;
