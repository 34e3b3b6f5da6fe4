create view audit.retries as
select
  identity.host,
  retries.repository_id,
  repositories.full_name as repository,
  retries.job_id,
  retries.failed_for,
  retries.retried_at,
  retries.by,
  retries.os_user,
  retries.database_user,
  retries.reason,
  retries.sealed_in,
  retries.retry_id
from archive.retries
cross join archive.identity
left join archive.repositories on repositories.repository_id = retries.repository_id;

comment on view audit.retries is 'Failed logs that an operator made due at once with the retry command, one row per log.';
comment on column audit.retries.host is 'The GitHub host.';
comment on column audit.retries.repository_id is 'GitHub''s id of the repository.';
comment on column audit.retries.repository is 'The repository''s current owner/name; null when only its id is known.';
comment on column audit.retries.job_id is 'GitHub''s id of the job.';
comment on column audit.retries.failed_for is 'The log_reason that it had until then; null where it had none.';
comment on column audit.retries.retried_at is 'When, by the database''s clock.';
comment on column audit.retries.by is 'Who did it, as --by names them, or the operating system''s login; null where it was not recorded.';
comment on column audit.retries.os_user is 'Login of the operating system''s user whose process did it, or the user''s number; null where it was not recorded.';
comment on column audit.retries.database_user is 'Login (session_user) of the database connection that did it; null where it was not recorded.';
comment on column audit.retries.reason is 'In the operator''s words; null where none was given.';
comment on column audit.retries.sealed_in is 'Sequence of the seal that carries it; null while it waits for one.';
comment on column audit.retries.retry_id is 'In the order of the retries.';
