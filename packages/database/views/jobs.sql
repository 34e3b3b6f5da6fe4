create view audit.jobs as
select
  identity.host,
  jobs.repository_id,
  repositories.full_name as repository,
  jobs.run_id,
  jobs.run_attempt,
  jobs.last_listed_attempt,
  jobs.job_id,
  coalesce(jobs.workflow_name, runs.workflow_name) as workflow_name,
  jobs.job_name,
  runs.event,
  runs.actor,
  runs.triggering_actor,
  coalesce(jobs.head_branch, runs.head_branch) as head_branch,
  coalesce(jobs.head_sha, runs.head_sha) as head_sha,
  jobs.status,
  jobs.conclusion,
  jobs.runner_name,
  jobs.runner_group_name,
  jobs.labels,
  jobs.created_at,
  jobs.started_at,
  jobs.completed_at,
  -- greatest() alone would pass over null and answer 0.
  case
    when jobs.started_at <= jobs.completed_at then floor(extract(epoch from jobs.completed_at - jobs.started_at))::bigint
    when jobs.started_at > jobs.completed_at then 0
  end as duration_seconds,
  coalesce(logs.log_state, obligations.log_state, 'pending') as log_state,
  case when logs.job_id is null then obligations.log_reason else logs.log_reason end as log_reason,
  coalesce(logs.log_flags, '{}') as log_flags,
  logs.log_key,
  logs.raw_bytes as log_bytes,
  logs.raw_sha256 as log_sha256,
  logs.archived_at
from archive.jobs
cross join archive.identity
left join archive.repositories on repositories.repository_id = jobs.repository_id
left join archive.runs on runs.run_id = jobs.run_id
left join archive.logs on logs.job_id = jobs.job_id
left join archive.obligations on obligations.job_id = jobs.job_id
where jobs.status = 'completed';

comment on view audit.jobs is 'Completed jobs of workflow runs, each with what became of its log.';
comment on column audit.jobs.host is 'The GitHub host.';
comment on column audit.jobs.repository is 'The repository''s current owner/name.';
comment on column audit.jobs.run_attempt is 'The attempt that ran the job: the smallest that listed its id.';
comment on column audit.jobs.last_listed_attempt is 'The largest attempt that listed its id.';
comment on column audit.jobs.event is 'What triggered the run; null until the run is known.';
comment on column audit.jobs.actor is 'Who triggered the run; null until the run is known.';
comment on column audit.jobs.duration_seconds is 'Whole seconds from started_at to completed_at; 0 when negative, null when unknown.';
comment on column audit.jobs.log_state is 'pending, archived, absent or failed.';
comment on column audit.jobs.log_reason is 'Why the log is absent or failed.';
comment on column audit.jobs.log_flags is 'Doubts about an archived log.';
comment on column audit.jobs.log_key is 'The log''s object in the store, relative to the prefix.';
comment on column audit.jobs.log_bytes is 'Size of the raw log in bytes.';
comment on column audit.jobs.log_sha256 is 'SHA-256 of the raw log, lower-case hex.';
comment on column audit.jobs.archived_at is 'When the log was stored; null unless it is archived.';
