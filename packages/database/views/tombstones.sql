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

comment on view audit.tombstones is 'Logs that were removed, by erase or by a policy: first the job''s row (log_state absent, log_reason removed), then this in a published seal, then the object.';
comment on column audit.tombstones.host is 'The GitHub host.';
comment on column audit.tombstones.repository_id is 'GitHub''s id of the repository.';
comment on column audit.tombstones.repository is 'The repository''s current owner/name; null when only its id is known.';
comment on column audit.tombstones.job_id is 'GitHub''s id of the job whose log it is. One job may have several.';
comment on column audit.tombstones.object_key is 'The log''s object in the store, relative to the prefix.';
comment on column audit.tombstones.version_id is 'The version that was sealed; null where the store has none.';
comment on column audit.tombstones.size_bytes is 'Stored bytes of the log.';
comment on column audit.tombstones.sha256 is 'SHA-256 of its stored bytes, lower-case hex: of the entry in the seal that holds it.';
comment on column audit.tombstones.cause is 'erase: an operator''s decision on one log. retention: a policy.';
comment on column audit.tombstones.reason is 'In the operator''s words, or the policy.';
comment on column audit.tombstones.decided_at is 'When, by the database''s clock.';
comment on column audit.tombstones.sealed_in is 'Sequence of the seal that carries it; null while it waits for one.';
comment on column audit.tombstones.removed_at is 'When the object was removed, or seen to be gone; null while it is there.';
comment on column audit.tombstones.retained_until is 'Until when the store refuses to remove it: its version is locked; null where it does not, or does not say.';
comment on column audit.tombstones.problem is 'Why the object is still there after the store was asked; null when it was not asked, and once it is gone.';
comment on column audit.tombstones.by is 'Who did it, as --by names them, or the operating system''s login; loader where a policy did. Null where it was not recorded.';
comment on column audit.tombstones.os_user is 'Login of the operating system''s user whose process did it, or the user''s number; null where it was not recorded.';
comment on column audit.tombstones.database_user is 'Login (session_user) of the database connection that did it; null where it was not recorded.';
