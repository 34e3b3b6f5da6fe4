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

comment on view audit.retention_policies is 'How long logs are kept: one row for each change; the row with a name''s largest policy_id is in force. A repository''s policy overrides its owner''s. Without a policy, logs are kept indefinitely.';
comment on column audit.retention_policies.host is 'GitHub host.';
comment on column audit.retention_policies.repository_id is 'Repository that has this name now; null for an owner, or if there is none.';
comment on column audit.retention_policies.name is 'owner or owner/name, in lower case.';
comment on column audit.retention_policies.keep_days is 'Days after a job''s end; null removes the policy.';
comment on column audit.retention_policies.changed_at is 'When it was set.';
comment on column audit.retention_policies.sealed_in is 'Seal that contains the row; null until it is sealed.';
comment on column audit.retention_policies.policy_id is 'Ascending in the order of the changes.';
comment on column audit.retention_policies.by is 'Who did it: --by, or the operating system''s login; null if not recorded.';
comment on column audit.retention_policies.os_user is 'Operating system user of the process, by login or number; null if not recorded.';
comment on column audit.retention_policies.database_user is 'session_user of the connection; null if not recorded.';
comment on column audit.retention_policies.reason is 'The operator''s words; null if none were given.';
