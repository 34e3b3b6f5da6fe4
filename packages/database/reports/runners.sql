-- Which runner ran what: self-hosted or GitHub-hosted.
--
-- One row per runner and workflow, self-hosted runners first, with image, version and region. A GitHub-hosted runner has a new name
-- for each job, so these are grouped by the facts in the log.
-- The last statement counts what could not be read: pending, failed and missing logs, logs archived without text extraction,
-- truncated lists, and spans that were never listed. Zero rows are an answer only when nothing was unread.
--
-- Parameters:
--   since <date or days>  jobs that completed at or after this time; 30 days ago unless given
--   until <date or days>  jobs that completed before this time; no limit unless given
--   repository <owner/name>  only jobs of this repository; the name is case-sensitive
--   limit <number>  maximum number of rows
-- Columns:
--   kind  self-hosted or hosted; null if unknown
--   runner_group_name, runner_name  runner_name is null for GitHub-hosted runners
--   labels  labels of runs-on
--   os, image, image_version, region  of GitHub-hosted runners, by the log
--   runner_version  of actions/runner, by the log
--   repository, workflow_name  the workflow that ran there
--   jobs  number of jobs
--   first_started_at, last_completed_at, last_job_id  the first and the last of them
-- Cannot know:
--   What else runs on a runner's machine. A self-hosted machine controls what its log contains.
-- Examples:
--   actions-archive report runners --since 7
--   actions-archive report runners --json | jq '.rows[] | select(.kind == "self-hosted") | .runner_name'

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
  kind, runner_group_name,
  case when kind is distinct from 'hosted' then runner_name end as runner_name,
  labels, os, image, image_version, region, runner_version, repository, workflow_name,
  count(*) as jobs,
  min(started_at) as first_started_at,
  max(completed_at) as last_completed_at,
  max(job_id) as last_job_id
from audit.runners
where completed_at >= audit.parse_time(:'since')
  and completed_at < audit.parse_time(:'until')
  and (:'repository' = '' or repository = :'repository')
  and runner_name is not null
group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
order by kind desc nulls last, jobs desc, last_job_id desc
limit :'limit'::bigint;

-- What could not be read, where further rows may be.
select unread, count
from audit.unread_counts('runners', audit.parse_time(:'since'), audit.parse_time(:'until'), :'repository')
order by count desc, unread;
