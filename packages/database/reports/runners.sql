-- Which runner ran what: self-hosted or GitHub-hosted.
--
-- With image, version and region. A row for each runner and workflow, self-hosted ones first. GitHub-hosted runners, which get a new name for each job, are told apart
-- by what the log says of them.
-- The last statement counts what could not be read, so that an empty answer can be believed: logs that are pending, failed or gone,
-- logs that were archived without a search of their text, lists that were cut, and jobs that this archive has not listed.
--
-- Parameters:
--   since <date or days>  jobs that completed at this instant or later; 30 days ago unless given
--   until <date or days>  jobs that completed before this instant; to the newest unless given
--   repository <owner/name>  jobs of this repository alone, by its name as GitHub writes it
--   limit <number>  so many rows at most
-- Columns:
--   kind  self-hosted or hosted; null where neither is known
--   runner_group_name, runner_name  runner_name of self-hosted runners alone
--   labels  what the jobs asked for
--   os, image, image_version, region  of GitHub-hosted runners, by the log
--   runner_version  of actions/runner, by the log
--   repository, workflow_name  what ran there
--   jobs  how many jobs
--   first_started_at, last_completed_at, last_job_id  the first and the last of them
-- Cannot know:
--   What runs on a machine beside the runner. A self-hosted runner's log says what its machine wants it to say.
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
where completed_at >= audit.instant(:'since')
  and completed_at < audit.instant(:'until')
  and (:'repository' = '' or repository = :'repository')
  and runner_name is not null
group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
order by kind desc nulls last, jobs desc, last_job_id desc
limit :'limit'::bigint;

-- What could not be read: another row may hide there.
select unread, count
from audit.unread('runners', audit.instant(:'since'), audit.instant(:'until'), :'repository')
order by count desc, unread;
