create view audit.retention_policies as
select
  identity.host,
  repositories.repository_id,
  retention_policies.name,
  retention_policies.keep_days,
  retention_policies.changed_at,
  retention_policies.sealed_in,
  retention_policies.policy_id,
  retention_policies.by,
  retention_policies.os_user,
  retention_policies.database_user,
  retention_policies.reason
from archive.retention_policies
cross join archive.identity
left join archive.repositories on lower(repositories.full_name) = retention_policies.name;

comment on view audit.retention_policies is 'For how long logs are kept, each time that was set: of a name the row with the largest policy_id is in force. A repository''s own goes before its owner''s; without one, logs are kept for ever.';
comment on column audit.retention_policies.host is 'The GitHub host.';
comment on column audit.retention_policies.repository_id is 'GitHub''s id of the repository that has this name now; null for an owner, and where none has it.';
comment on column audit.retention_policies.name is 'owner or owner/name, in lower case.';
comment on column audit.retention_policies.keep_days is 'Days after a job''s end for which its log is kept; null: this name has no policy of its own from here on.';
comment on column audit.retention_policies.changed_at is 'When, by the database''s clock.';
comment on column audit.retention_policies.sealed_in is 'Sequence of the seal that carries it; null while it waits for one.';
comment on column audit.retention_policies.policy_id is 'In the order in which they were set.';
comment on column audit.retention_policies.by is 'Who did it, as --by names them, or the operating system''s login; null where it was not recorded.';
comment on column audit.retention_policies.os_user is 'Login of the operating system''s user whose process did it, or the user''s number; null where it was not recorded.';
comment on column audit.retention_policies.database_user is 'Login (session_user) of the database connection that did it; null where it was not recorded.';
comment on column audit.retention_policies.reason is 'In the operator''s words; null where none was given.';
