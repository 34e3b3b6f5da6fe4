-- Which jobs failed, then passed on the same commit.
--
-- A row for each job of a workflow, what was flaky on most commits first. The same workflow and job name on the same commit, in a
-- re-run or in another run, is the same job.
--
-- Parameters:
--   since <date or days>  jobs that completed at this instant or later; 30 days ago unless given
--   until <date or days>  jobs that completed before this instant; to the newest unless given
--   repository <owner/name>  jobs of this repository alone, by its name as GitHub writes it
--   limit <number>  so many rows at most
-- Columns:
--   repository, workflow_name, job_name  which job
--   flaky_commits, commits  on how many commits it failed and then passed, of how many it ended on
--   jobs, failed_jobs  how often it ran, and failed, on all of these commits
--   last_sha, last_passed_at  the newest such commit, and when it passed there
--   failed_job_id, passed_job_id  its first failure and its last success on that commit
-- Cannot know:
--   Failures before the span that passed in it. A job that passes since something outside of the repository changed looks flaky.
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
  where completed_at >= audit.instant(:'since')
    and completed_at < audit.instant(:'until')
    and (:'repository' = '' or repository = :'repository')
    and conclusion in ('success', 'failure', 'timed_out')
    and head_sha is not null
  group by repository, workflow_name, job_name, head_sha
),
judged as (
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
from judged
group by repository, workflow_name, job_name
having bool_or(is_flaky)
order by flaky_commits desc, failed_jobs desc, repository, workflow_name, job_name
limit :'limit'::bigint;
