-- entries counts objects of all owners, so a limited auditor sees no seals. Other views show in which seal a visible object is.
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
  and case when to_regrole('actions_archive_auditor') is null then true else (select sees_all from archive.current_reader) end;

comment on view audit.seals is 'The chain of seals. Each contains the hashes of the objects archived since the previous one. These rows are an index: verify checks the chain in the store.';
comment on column audit.seals.host is 'GitHub host.';
comment on column audit.seals.repository_id is 'Always null.';
comment on column audit.seals.sequence is 'From 1, without gaps.';
comment on column audit.seals.sealed_at is 'When it was prepared.';
comment on column audit.seals.entries is 'Number of objects.';
comment on column audit.seals.previous_sha256 is 'sha256 of the previous seal; 64 zeros in the first.';
comment on column audit.seals.sha256 is 'SHA-256 of the payload. Keep it elsewhere, with the sequence, as the head of the chain.';
comment on column audit.seals.key_id is 'SHA-256 of the public key (DER, SPKI).';
comment on column audit.seals.next_key_id is 'Key of the following seals; null if unchanged.';
comment on column audit.seals.published_at is 'When the loader found it in the store.';
comment on column audit.seals.by is 'Who announced the next key or corrected earlier seals: --by, or the operating system''s login; null if the seal does neither.';
comment on column audit.seals.os_user is 'Operating system user of the process, by login or number; null if not recorded.';
comment on column audit.seals.database_user is 'session_user of the connection; null if not recorded.';
comment on column audit.seals.reason is 'The operator''s words; null if none were given.';
