-- Which actions ran, at which refs and commits, and how often.
--
-- One row per action, ref and commit, most used first. Two commits of one ref, as of a moved tag, are two rows.
-- The last statement counts what could not be read: pending, failed and missing logs, logs archived without text extraction,
-- truncated lists, and spans that were never listed. Zero rows are an answer only when nothing was unread.
--
-- Parameters:
--   since <date or days>  jobs that completed at or after this time; 30 days ago unless given
--   until <date or days>  jobs that completed before this time; no limit unless given
--   repository <owner/name>  only jobs of this repository; the name is case-sensitive
--   limit <number>  maximum number of rows
-- Columns:
--   action, ref, sha  as the runner downloaded it; action in lower case
--   jobs, repositories  number of jobs that ran it, and of their repositories
--   first_used_at, last_used_at  times in the logs
--   last_job_id  the largest id of these jobs
-- Cannot know:
--   What an action downloads itself, and local actions (./path), which the runner does not download. Actions by $/path are
--   included, as owner/name/path at the commit of the workflow.
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
where job_completed_at >= audit.parse_time(:'since')
  and job_completed_at < audit.parse_time(:'until')
  and (:'repository' = '' or repository = :'repository')
group by action_lower, ref, sha
order by jobs desc, action, ref, sha
limit :'limit'::bigint;

-- What could not be read, where further rows may be.
select unread, count
from audit.unread_counts('actions', audit.parse_time(:'since'), audit.parse_time(:'until'), :'repository')
order by count desc, unread;
