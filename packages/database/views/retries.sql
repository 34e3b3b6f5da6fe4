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

comment on view audit.retries is 'Failed logs that an operator made due immediately with the retry command, one row per log.';
comment on column audit.retries.host is 'GitHub host.';
comment on column audit.retries.repository_id is 'GitHub''s id.';
comment on column audit.retries.repository is 'Current owner/name; null if only the id is known.';
comment on column audit.retries.job_id is 'GitHub''s id.';
comment on column audit.retries.failed_for is 'log_reason before the retry; null if there was none.';
comment on column audit.retries.retried_at is 'When it was retried.';
comment on column audit.retries.by is 'Who did it: --by, or the operating system''s login; null if not recorded.';
comment on column audit.retries.os_user is 'Operating system user of the process, by login or number; null if not recorded.';
comment on column audit.retries.database_user is 'session_user of the connection; null if not recorded.';
comment on column audit.retries.reason is 'The operator''s words; null if none were given.';
comment on column audit.retries.sealed_in is 'Seal that contains the row; null until it is sealed.';
comment on column audit.retries.retry_id is 'Ascending in the order of the retries.';
