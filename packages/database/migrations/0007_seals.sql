-- What the store holds, which seal holds it, and the chain of seals. Every row that a seal must carry has sealed_in: null until a seal is
-- prepared with it.

create table archive.objects (
  object_key text collate "C" primary key,
  version_id text,
  size_bytes bigint not null check (size_bytes >= 0),
  sha256 text not null check (sha256 ~ '^[0-9a-f]{64}$'),
  repository_id bigint,
  run_id bigint,
  job_id bigint,
  recorded_at timestamptz not null default now(),
  sealed_in bigint
);
create index objects_unsealed_idx on archive.objects (recorded_at) where sealed_in is null;
comment on table archive.objects is 'Records, run records, logs and archive.json, as the loader found them in the store, and the seal that holds each.';
comment on column archive.objects.object_key is 'Key in the store, under the prefix of ARCHIVE_URL.';
comment on column archive.objects.version_id is 'The store''s id of this version; null if it has none or did not return it.';
comment on column archive.objects.size_bytes is 'Stored bytes.';
comment on column archive.objects.sha256 is 'SHA-256 of the stored bytes, lower-case hex.';
comment on column archive.objects.repository_id is 'By the key; null for archive.json.';
comment on column archive.objects.run_id is 'By the key; null for archive.json.';
comment on column archive.objects.job_id is 'By the key; null for run records and archive.json.';
comment on column archive.objects.recorded_at is 'When the loader first wrote it down, by the database''s clock.';
comment on column archive.objects.sealed_in is 'Sequence of the seal that holds it, which may be prepared and not yet published; null while it waits for one.';

create table archive.seals (
  sequence bigint primary key check (sequence > 0),
  sealed_at timestamptz not null,
  entries integer not null,
  previous_sha256 text not null check (previous_sha256 ~ '^[0-9a-f]{64}$'),
  sha256 text not null check (sha256 ~ '^[0-9a-f]{64}$'),
  key_id text not null,
  next_key_id text,
  reason text,
  by text,
  os_user text,
  database_user text,
  is_trusted boolean not null default true,
  payload bytea,
  published_at timestamptz,
  check ((payload is null) = (published_at is not null))
);
create unique index seals_prepared_idx on archive.seals ((published_at is null)) where published_at is null;
comment on table archive.seals is 'The chain of seals. At most one is prepared and not yet published.';
comment on column archive.seals.sequence is 'From 1, without holes.';
comment on column archive.seals.sealed_at is 'When it was prepared, by the database''s clock.';
comment on column archive.seals.entries is 'How many objects it holds.';
comment on column archive.seals.previous_sha256 is 'SHA-256 of the payload of the seal before; 64 zeros in the first.';
comment on column archive.seals.sha256 is 'SHA-256 of the payload, lower-case hex.';
comment on column archive.seals.key_id is 'SHA-256 of the public key (DER, SPKI) that it is signed with.';
comment on column archive.seals.next_key_id is 'The key of all seals after this one; null where it stays the same.';
comment on column archive.seals.reason is 'In the operator''s words; null where none was given.';
comment on column archive.seals.by is 'Who had this seal announce the next key or correct earlier seals, as --by names them, or the operating system''s login. Null for a seal that does neither.';
comment on column archive.seals.os_user is 'Login of the operating system''s user whose process did it, or the user''s number where it has no name. Null where it was not recorded.';
comment on column archive.seals.database_user is 'Login (session_user) of the database connection that did it. Null where it was not recorded.';
comment on column archive.seals.is_trusted is 'False for a seal that was taken over from the store without a key that stands for the chain: its policies and released holds were not taken over, and no log goes by its tombstones.';
comment on column archive.seals.payload is 'The canonical bytes, so that what was prepared before a crash is what is published after it; null once it is published.';
comment on column archive.seals.published_at is 'When it was seen in the store, by the database''s clock; null while it is prepared.';

create table archive.sealing (
  singleton boolean primary key default true check (singleton),
  key_id text not null,
  interval_seconds integer not null check (interval_seconds > 0),
  seen_at timestamptz not null default now(),
  problem text,
  problem_since timestamptz
);
comment on table archive.sealing is 'What the loader that seals said of itself the last time. No row: no loader has had a sealing key.';
comment on column archive.sealing.singleton is 'Always true: one row.';
comment on column archive.sealing.key_id is 'The key that it holds.';
comment on column archive.sealing.interval_seconds is 'SEAL_INTERVAL_SECONDS.';
comment on column archive.sealing.seen_at is 'When it last checked whether a seal is due.';
comment on column archive.sealing.problem is 'Why it does not seal; null when it does.';
comment on column archive.sealing.problem_since is 'When that problem began; null when there is none.';

create table archive.damages (
  object_key text collate "C" primary key,
  finding text not null check (finding in ('missing', 'damaged')),
  found_at timestamptz not null default now(),
  repository_id bigint,
  job_id bigint,
  repaired_by text,
  repaired_at timestamptz,
  sealed_in bigint
);
create index damages_job_id_idx on archive.damages (job_id) where repaired_at is null;
create index damages_unsealed_idx on archive.damages (object_key) where sealed_in is null;
comment on table archive.damages is 'Sealed objects that the scrub found missing or changed, and what stands beside them since.';
comment on column archive.damages.object_key is 'Key in the store.';
comment on column archive.damages.finding is 'missing: it is not there. damaged: its bytes are not the sealed ones.';
comment on column archive.damages.found_at is 'When, by the database''s clock.';
comment on column archive.damages.repository_id is 'By the key; null for archive.json.';
comment on column archive.damages.job_id is 'GitHub''s id of the job; null where it is not a job''s.';
comment on column archive.damages.repaired_by is 'The key of the log that was read from GitHub again and has the same raw bytes; null while there is none.';
comment on column archive.damages.repaired_at is 'When that was stored; null while there is none.';
comment on column archive.damages.sealed_in is 'Sequence of the seal that carries what stands here now; null while it waits for one.';

create table archive.scrub (
  singleton boolean primary key default true check (singleton),
  position text not null default '',
  round_began_at timestamptz not null default now(),
  objects bigint not null default 0,
  objects_read bigint not null default 0,
  bytes_read bigint not null default 0,
  last_round_ended_at timestamptz
);
comment on table archive.scrub is 'Progress of the scrub, which rereads the archive continuously. One row.';
comment on column archive.scrub.singleton is 'Always true: one row.';
comment on column archive.scrub.position is 'The last key that was read in this round; empty at its beginning.';
comment on column archive.scrub.round_began_at is 'When this round began, by the database''s clock.';
comment on column archive.scrub.objects is 'How many objects there were when the round began.';
comment on column archive.scrub.objects_read is 'Objects read in this round.';
comment on column archive.scrub.bytes_read is 'Stored bytes read in this round.';
comment on column archive.scrub.last_round_ended_at is 'When a scrub of the complete archive last ended; null before the first.';
