-- Counts over all owners: shown to those alone who see all. Of other views, each auditor may know in which seal an object of its own is.
create view audit.seals as
select
  identity.host,
  null::bigint as repository_id,
  seals.sequence,
  seals.sealed_at,
  seals.entries,
  seals.previous_sha256,
  seals.sha256,
  seals.key_id,
  seals.next_key_id,
  seals.published_at,
  seals.by,
  seals.os_user,
  seals.database_user,
  seals.reason
from archive.seals
cross join archive.identity
where seals.published_at is not null
  and case when to_regrole('actions_archive_auditor') is null then true else (select sees_all from archive.asker) end;

comment on view audit.seals is 'The chain of seals: each holds the hashes of what was archived since the one before. Verify proves it from the store alone; these rows are its index.';
comment on column audit.seals.host is 'The GitHub host.';
comment on column audit.seals.repository_id is 'Always null: a seal is of the whole archive.';
comment on column audit.seals.sequence is 'From 1, without holes.';
comment on column audit.seals.sealed_at is 'When it was prepared, by the database''s clock.';
comment on column audit.seals.entries is 'How many objects it holds.';
comment on column audit.seals.previous_sha256 is 'SHA-256 of the payload of the seal before, lower-case hex; 64 zeros in the first.';
comment on column audit.seals.sha256 is 'SHA-256 of the payload, lower-case hex: with the sequence it is the head to note elsewhere.';
comment on column audit.seals.key_id is 'SHA-256 of the public key (DER, SPKI) that it is signed with, lower-case hex.';
comment on column audit.seals.next_key_id is 'The key of all seals after this one; null: the same.';
comment on column audit.seals.published_at is 'When the loader saw it in the store, by the database''s clock.';
comment on column audit.seals.by is 'Who had this seal announce the next key or correct earlier seals, as --by names them, or the operating system''s login; null for a seal that does neither.';
comment on column audit.seals.os_user is 'Login of the operating system''s user whose process did it, or the user''s number; null where it was not recorded.';
comment on column audit.seals.database_user is 'Login (session_user) of the database connection that did it; null where it was not recorded.';
comment on column audit.seals.reason is 'In the operator''s words; null where none was given.';
