create view audit.permissions as
select
  identity.host,
  jobs.repository_id,
  repositories.full_name as repository,
  jobs.run_id,
  permissions.job_id,
  jobs.workflow_name,
  jobs.job_name,
  permissions.scope,
  permissions.access,
  jobs.completed_at as job_completed_at
from archive.permissions
join archive.jobs on jobs.job_id = permissions.job_id
cross join archive.identity
left join archive.repositories on repositories.repository_id = jobs.repository_id
where jobs.status = 'completed';

comment on view audit.permissions is 'What the GITHUB_TOKEN of completed jobs was allowed, by the runner''s own words in their logs.';
comment on column audit.permissions.host is 'The GitHub host.';
comment on column audit.permissions.repository_id is 'GitHub''s id of the repository.';
comment on column audit.permissions.repository is 'The repository''s current owner/name.';
comment on column audit.permissions.run_id is 'GitHub''s id of the run.';
comment on column audit.permissions.job_id is 'GitHub''s id of the job.';
comment on column audit.permissions.workflow_name is 'The workflow''s name; null where the job object lacks it.';
comment on column audit.permissions.job_name is 'The job''s name.';
comment on column audit.permissions.scope is 'In the log''s words: Contents, PullRequests, …';
comment on column audit.permissions.access is 'In the log''s words: read or write.';
comment on column audit.permissions.job_completed_at is 'When the job completed.';
