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

comment on view audit.permissions is 'Permissions of the GITHUB_TOKEN of completed jobs, as the runner printed them in the log.';
comment on column audit.permissions.host is 'GitHub host.';
comment on column audit.permissions.repository_id is 'GitHub''s id.';
comment on column audit.permissions.repository is 'Current owner/name; null if only the id is known.';
comment on column audit.permissions.run_id is 'GitHub''s id.';
comment on column audit.permissions.job_id is 'GitHub''s id.';
comment on column audit.permissions.workflow_name is 'Null if unknown.';
comment on column audit.permissions.job_name is 'Null if unknown.';
comment on column audit.permissions.scope is 'Contents, PullRequests, …, as printed.';
comment on column audit.permissions.access is 'read or write.';
comment on column audit.permissions.job_completed_at is 'Null if the job object lacks it.';
