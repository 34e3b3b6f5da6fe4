-- Which jobs ran this action, at this ref or commit.
--
-- The question of every supply-chain incident. A row for each step that ran it, the newest first, by the runner's own words in the job's log: no call to GitHub is made.
-- The last statement counts what could not be read, so that an empty answer can be believed: logs that are pending, failed or gone,
-- logs that were archived without a search of their text, lists that were cut, and jobs that this archive has not listed.
--
-- Parameters:
--   action <owner/name(/path)(@ref or sha)>  the action, reusable workflow or docker://image, at a ref (exactly), a commit, or the
--     first 7 or more digits of one; all of them unless given, which the program sums up by the report actions. Its name ignores case; owner/name
--     means every path of that repository too; owner/name/path also what only says owner/name.
--   since <date or days>  jobs that completed at this instant or later; 30 days ago unless given
--   until <date or days>  jobs that completed before this instant; to the newest unless given
--   repository <owner/name>  jobs of this repository alone, by its name as GitHub writes it
--   limit <number>  so many rows at most
-- Columns:
--   used_at  when the runner got the action
--   repository, workflow_name, job_name  whose job it is
--   job_id, run_id, run_attempt  GitHub's ids, and the attempt that ran the job
--   step_number  the step that ran it; null where unknown, as for an action inside another
--   action, ref, sha  as the runner got it; sha is null in logs of 2021 and before
--   conclusion, event, actor, triggering_actor, head_branch, head_sha  of the job and its run
--   line_number  the line of the raw log that says so
--   log_sha256  SHA-256 of that log: `actions-archive logs JOB_ID --raw` prints it
-- Cannot know:
--   What an action downloads by itself, and actions of this very repository by ./path, which the runner does not download.
--   Those by $/path are here, as owner/name/path at the commit of the workflow. A job can add to its own rows by printing the
--   runner's words; it cannot take rows away.
-- Examples:
--   actions-archive report action-uses --action tj-actions/changed-files --since 2025-03-14 --until 2025-03-16
--   actions-archive report action-uses --action actions/checkout@11bd719 --json | jq .unread

\if :{?action}
\else
  \set action ''
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

with uses as (
  select job_id, step_number, action, ref, sha, used_at, line_number
  from audit.action_uses
  where job_completed_at >= audit.instant(:'since')
    and job_completed_at < audit.instant(:'until')
    and (:'repository' = '' or repository = :'repository')
    and (
      :'action' = ''
      or action_lower = lower(split_part(:'action', '@', 1))
      or (action_lower >= lower(split_part(:'action', '@', 1)) || '/' and action_lower < lower(split_part(:'action', '@', 1)) || '0')
      or (step_number is null and action_lower = lower(substring(split_part(:'action', '@', 1) from '^[^/]+/[^/]+')))
    )
    and (
      substring(:'action' from '@(.*)$') is null
      or ref = substring(:'action' from '@(.*)$')
      or sha = lower(substring(:'action' from '@(.*)$'))
      or (
        substring(:'action' from '@(.*)$') ~* '^[0-9a-f]{7,}$'
        and (
          (sha >= lower(substring(:'action' from '@(.*)$')) and sha < lower(substring(:'action' from '@(.*)$')) || 'g')
          or (ref collate "C" >= lower(substring(:'action' from '@(.*)$')) and ref collate "C" < lower(substring(:'action' from '@(.*)$')) || 'g')
        )
      )
    )
  order by used_at desc nulls last, job_id desc, line_number, step_number
  limit :'limit'::bigint
)
select
  used_at, repository, workflow_name, job_name, job_id, run_id, run_attempt, step_number, action, ref, sha,
  conclusion, event, actor, triggering_actor, head_branch, head_sha, line_number, log_sha256
from uses
-- The limit keeps the job's id inside: without it a view that is a security barrier is read as a whole.
cross join lateral (
  select repository, workflow_name, job_name, run_id, run_attempt, conclusion, event, actor, triggering_actor, head_branch, head_sha,
    log_sha256
  from audit.jobs
  where jobs.job_id = uses.job_id
  limit 1
) as job
order by used_at desc nulls last, job_id desc, line_number, step_number;

-- What could not be read: another row may hide there.
select unread, count
from audit.unread('actions', audit.instant(:'since'), audit.instant(:'until'), :'repository')
order by count desc, unread;
