create view audit.holds as
select
  identity.host,
  jobs.repository_id,
  repositories.full_name as repository,
  holds.job_id,
  holds.is_held,
  holds.reason,
  holds.changed_at,
  holds.sealed_in,
  holds.hold_id,
  holds.by,
  holds.os_user,
  holds.database_user
from archive.holds
cross join archive.identity
left join archive.jobs on jobs.job_id = holds.job_id
left join archive.repositories on repositories.repository_id = jobs.repository_id;

comment on view audit.holds is 'Legal holds: one row for each time one was set or released; the row with a job''s largest hold_id is in force. A held log is never removed. A hold on a copy protects the original''s log.';
comment on column audit.holds.host is 'GitHub host.';
comment on column audit.holds.repository_id is 'Null until the job is loaded.';
comment on column audit.holds.repository is 'Current owner/name; null until the job is loaded.';
comment on column audit.holds.job_id is 'GitHub''s id.';
comment on column audit.holds.is_held is 'False for a release.';
comment on column audit.holds.reason is 'The operator''s words; null if none were given.';
comment on column audit.holds.changed_at is 'When it was set or released.';
comment on column audit.holds.sealed_in is 'Seal that contains the row; null until it is sealed.';
comment on column audit.holds.hold_id is 'Ascending in the order of the changes.';
comment on column audit.holds.by is 'Who did it: --by, or the operating system''s login; null if not recorded.';
comment on column audit.holds.os_user is 'Operating system user of the process, by login or number; null if not recorded.';
comment on column audit.holds.database_user is 'session_user of the connection; null if not recorded.';
