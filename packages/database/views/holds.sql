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

comment on view audit.holds is 'Legal holds, each time one was set or released: of a job the row with the largest hold_id is in force. What is held is never removed; a hold of a copy keeps the original''s log.';
comment on column audit.holds.host is 'The GitHub host.';
comment on column audit.holds.repository_id is 'GitHub''s id of the repository; null while the job''s rows are not loaded.';
comment on column audit.holds.repository is 'The repository''s current owner/name; null while the job''s rows are not loaded.';
comment on column audit.holds.job_id is 'GitHub''s id of the job.';
comment on column audit.holds.is_held is 'False where a hold was released.';
comment on column audit.holds.reason is 'In the operator''s words; null where none was given.';
comment on column audit.holds.changed_at is 'When, by the database''s clock.';
comment on column audit.holds.sealed_in is 'Sequence of the seal that carries it; null while it waits for one.';
comment on column audit.holds.hold_id is 'In the order in which they were set.';
comment on column audit.holds.by is 'Who did it, as --by names them, or the operating system''s login; null where it was not recorded.';
comment on column audit.holds.os_user is 'Login of the operating system''s user whose process did it, or the user''s number; null where it was not recorded.';
comment on column audit.holds.database_user is 'Login (session_user) of the database connection that did it; null where it was not recorded.';
