-- Which jobs ran this action, at this ref or commit.
--
-- For supply-chain incidents. One row per step that ran it, newest first, as the runner printed it in the job's log. Sends no request
-- to GitHub.
-- The last statement counts what could not be read: pending, failed and missing logs, logs archived without text extraction,
-- truncated lists, and spans that were never listed. Zero rows are an answer only when nothing was unread.
--
-- Parameters:
--   action <owner/name(/path)(@ref or sha)>  the action, reusable workflow or docker://image, at an exact ref, a commit, or a
--     commit prefix of 7 or more digits; all actions unless given, which the program summarizes as report actions. The name ignores
--     case. owner/name includes every path of that repository, and owner/name/path includes uses logged only as owner/name.
--   since <date or days>  jobs that completed at or after this time; 30 days ago unless given
--   until <date or days>  jobs that completed before this time; no limit unless given
--   repository <owner/name>  only jobs of this repository; the name is case-sensitive
--   limit <number>  maximum number of rows
-- Columns:
--   used_at  when the runner downloaded the action
--   repository, workflow_name, job_name  the job
--   job_id, run_id, run_attempt  GitHub's ids, and the attempt that ran the job
--   step_number  the step that ran it; null if unknown, as for an action within another
--   action, ref, sha  as the runner downloaded it; sha is null in logs up to 2021
--   conclusion, event, actor, triggering_actor, head_branch, head_sha  of the job and its run
--   line_number  line of the raw log
--   log_sha256  SHA-256 of that log: `actions-archive logs JOB_ID --raw` prints it
-- Cannot know:
--   What an action downloads itself, and local actions (./path), which the runner does not download. Actions by $/path are
--   included, as owner/name/path at the commit of the workflow. A job can add rows
--   of its own by printing the same text; it cannot remove any.
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
  where job_completed_at >= audit.parse_time(:'since')
    and job_completed_at < audit.parse_time(:'until')
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
-- The limit pushes the job's id down. Without it Postgres reads the whole view, which is a security barrier.
cross join lateral (
  select repository, workflow_name, job_name, run_id, run_attempt, conclusion, event, actor, triggering_actor, head_branch, head_sha,
    log_sha256
  from audit.jobs
  where jobs.job_id = uses.job_id
  limit 1
) as job
order by used_at desc nulls last, job_id desc, line_number, step_number;

-- What could not be read, where further rows may be.
select unread, count
from audit.unread_counts('actions', audit.parse_time(:'since'), audit.parse_time(:'until'), :'repository')
order by count desc, unread;
