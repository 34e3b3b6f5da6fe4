-- Which jobs failed, then passed on the same commit.
--
-- One row per job of a workflow, flaky on most commits first. Equal workflow and job names on one commit, in a re-run or another
-- run, are the same job.
--
-- Parameters:
--   since <date or days>  jobs that completed at or after this time; 30 days ago unless given
--   until <date or days>  jobs that completed before this time; no limit unless given
--   repository <owner/name>  only jobs of this repository; the name is case-sensitive
--   limit <number>  maximum number of rows
-- Columns:
--   repository, workflow_name, job_name  the job
--   flaky_commits, commits  number of commits on which it failed and then passed, and of all its commits
--   jobs, failed_jobs  number of its executions and failures on all these commits
--   last_sha, last_passed_at  the newest flaky commit, and when it passed there
--   failed_job_id, passed_job_id  its first failure and its last success on that commit
-- Cannot know:
--   Failures before the span that passed within it. A job that passes because of a change outside the repository counts as flaky.
-- Examples:
--   actions-archive report flaky --repository my-org/app --since 14

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

with commits as (
  select
    repository, workflow_name, job_name, head_sha,
    count(*) as jobs,
    count(*) filter (where conclusion <> 'success') as failed_jobs,
    min(completed_at) filter (where conclusion <> 'success') as failed_at,
    max(completed_at) filter (where conclusion = 'success') as passed_at,
    min(job_id) filter (where conclusion <> 'success') as failed_job_id,
    max(job_id) filter (where conclusion = 'success') as passed_job_id
  from audit.jobs
  where completed_at >= audit.parse_time(:'since')
    and completed_at < audit.parse_time(:'until')
    and (:'repository' = '' or repository = :'repository')
    and conclusion in ('success', 'failure', 'timed_out')
    and head_sha is not null
  group by repository, workflow_name, job_name, head_sha
),
commits_with_flakiness as (
  select commits.*, coalesce(failed_at < passed_at, false) as is_flaky from commits
)
select
  repository, workflow_name, job_name,
  count(*) filter (where is_flaky) as flaky_commits,
  count(*) as commits,
  sum(jobs)::bigint as jobs,
  sum(failed_jobs)::bigint as failed_jobs,
  (array_agg(head_sha order by passed_at desc) filter (where is_flaky))[1] as last_sha,
  max(passed_at) filter (where is_flaky) as last_passed_at,
  (array_agg(failed_job_id order by passed_at desc) filter (where is_flaky))[1] as failed_job_id,
  (array_agg(passed_job_id order by passed_at desc) filter (where is_flaky))[1] as passed_job_id
from commits_with_flakiness
group by repository, workflow_name, job_name
having bool_or(is_flaky)
order by flaky_commits desc, failed_jobs desc, repository, workflow_name, job_name
limit :'limit'::bigint;
