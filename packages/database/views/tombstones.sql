create view audit.tombstones as
select
  identity.host,
  tombstones.repository_id,
  repositories.full_name as repository,
  tombstones.job_id,
  tombstones.object_key,
  tombstones.version_id,
  tombstones.size_bytes,
  tombstones.sha256,
  tombstones.cause,
  tombstones.reason,
  tombstones.decided_at,
  tombstones.sealed_in,
  tombstones.removed_at,
  tombstones.retained_until,
  tombstones.problem,
  tombstones.by,
  tombstones.os_user,
  tombstones.database_user
from archive.tombstones
cross join archive.identity
left join archive.repositories on repositories.repository_id = tombstones.repository_id;

comment on view audit.tombstones is 'Logs removed by erase or by a retention policy. The order is: the job''s row (log_state absent, log_reason removed), this row in a published seal, removal of the object.';
comment on column audit.tombstones.host is 'GitHub host.';
comment on column audit.tombstones.repository_id is 'GitHub''s id.';
comment on column audit.tombstones.repository is 'Current owner/name; null if only the id is known.';
comment on column audit.tombstones.job_id is 'GitHub''s id. A job may have several.';
comment on column audit.tombstones.object_key is 'Object of the log, relative to the store''s prefix.';
comment on column audit.tombstones.version_id is 'Sealed version; null if the store has none.';
comment on column audit.tombstones.size_bytes is 'Stored bytes.';
comment on column audit.tombstones.sha256 is 'SHA-256 of the stored bytes, as in the seal that contains the log.';
comment on column audit.tombstones.cause is 'erase: an operator''s decision about one log. retention: a policy.';
comment on column audit.tombstones.reason is 'The operator''s words, or the policy.';
comment on column audit.tombstones.decided_at is 'When the removal was decided.';
comment on column audit.tombstones.sealed_in is 'Seal that contains the row; null until it is sealed.';
comment on column audit.tombstones.removed_at is 'When the object was removed or found missing; null while it exists.';
comment on column audit.tombstones.retained_until is 'End of the object lock that prevents the removal; null if not locked or not reported.';
comment on column audit.tombstones.problem is 'Why the last removal failed; null before the first try and once removed.';
comment on column audit.tombstones.by is 'Who did it: --by, the operating system''s login, or loader for a policy; null if not recorded.';
comment on column audit.tombstones.os_user is 'Operating system user of the process, by login or number; null if not recorded.';
comment on column audit.tombstones.database_user is 'session_user of the connection; null if not recorded.';
