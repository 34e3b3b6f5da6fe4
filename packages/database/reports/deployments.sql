-- Who deployed what and when, with the proof of each log.
--
-- One row per job whose own or workflow's name matches job_pattern, newest first, with its commit, actor and runner.
--
-- Parameters:
--   job_pattern <regex>  case-insensitive Postgres regular expression for the name of the job or its workflow;
--     deploy, release, publish, rollout, promote, ship and go-live unless given
--   branch <name>  only jobs of exactly this branch or tag
--   since <date or days>  jobs that completed at or after this time; 30 days ago unless given
--   until <date or days>  jobs that completed before this time; no limit unless given
--   repository <owner/name>  only jobs of this repository; the name is case-sensitive
--   limit <number>  maximum number of rows
-- Columns:
--   completed_at, started_at  of the job
--   repository, workflow_name, job_name, conclusion  the job, and how it ended
--   head_branch, head_sha  what was deployed
--   event, actor, triggering_actor  what and who triggered the run, and who triggered the attempt
--   runner_name, runner_group_name  where it ran
--   job_id, run_id, run_attempt  GitHub's ids, and the attempt that ran the job
--   log_state, log_key, log_sha256  the log's object in the store, and the SHA-256 of the raw log
--   record_key, record_sha256  the record with these facts, and its SHA-256
-- Cannot know:
--   Deployments under other names. Who approved a deployment: GitHub's environments are not archived.
-- Examples:
--   actions-archive report deployments --repository my-org/app --branch main --since 2026-01-01 --until 2026-04-01 --csv
--   actions-archive report deployments --job-pattern '^(terraform|helm) '

\if :{?job_pattern}
\else
  \set job_pattern 'deploy|release|publish|roll-?out|promote|ship|go-?live'
\endif
\if :{?branch}
\else
  \set branch ''
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

select
  completed_at, started_at, repository, workflow_name, job_name, conclusion, head_branch, head_sha, event, actor, triggering_actor,
  runner_name, runner_group_name, job_id, run_id, run_attempt, log_state, log_key, log_sha256, record_key, record_sha256
from audit.jobs
where completed_at >= audit.parse_time(:'since')
  and completed_at < audit.parse_time(:'until')
  and (:'repository' = '' or repository = :'repository')
  and (:'branch' = '' or head_branch = :'branch')
  and conclusion is distinct from 'skipped'
  and (job_name ~* :'job_pattern' or workflow_name ~* :'job_pattern')
order by completed_at desc, job_id desc
limit :'limit'::bigint;
