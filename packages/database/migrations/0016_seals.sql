-- What the store holds and which seal says so, the chain of seals, and what seals carry beside objects: holds, policies of
-- retention, tombstones, damages. Every row that a seal must carry has sealed_in: null until a seal is prepared with it.

create table archive.objects (
  object_key text collate "C" primary key,
  version_id text,
  size_bytes bigint not null check (size_bytes >= 0),
  sha256 text not null check (sha256 ~ '^[0-9a-f]{64}$'),
  repository_id bigint,
  run_id bigint,
  job_id bigint,
  noted_at timestamptz not null default now(),
  sealed_in bigint
);
create index objects_unsealed_idx on archive.objects (noted_at) where sealed_in is null;
comment on table archive.objects is 'Records, run records, logs and archive.json, as the loader found them in the store, and the seal that holds each.';
comment on column archive.objects.object_key is 'Key in the store, under the prefix of ARCHIVE_URL.';
comment on column archive.objects.version_id is 'The store''s id of this version; null where it has none or did not tell it.';
comment on column archive.objects.size_bytes is 'Stored bytes.';
comment on column archive.objects.sha256 is 'SHA-256 of the stored bytes, lower-case hex.';
comment on column archive.objects.repository_id is 'By the key; null for archive.json.';
comment on column archive.objects.run_id is 'By the key; null for archive.json.';
comment on column archive.objects.job_id is 'By the key; null for run records and archive.json.';
comment on column archive.objects.noted_at is 'When the loader first wrote it down, by the database''s clock.';
comment on column archive.objects.sealed_in is 'Sequence of the seal that holds it, which may be prepared and not yet published; null while it waits for one.';

create table archive.seals (
  sequence bigint primary key check (sequence > 0),
  sealed_at timestamptz not null,
  entries integer not null,
  previous_sha256 text not null check (previous_sha256 ~ '^[0-9a-f]{64}$'),
  sha256 text not null check (sha256 ~ '^[0-9a-f]{64}$'),
  key_id text not null,
  next_key_id text,
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
comment on column archive.sealing.seen_at is 'When it last looked whether a seal is due.';
comment on column archive.sealing.problem is 'Why it does not seal; null when it does.';
comment on column archive.sealing.problem_since is 'When that problem began; null when there is none.';

-- Rows of these three are only ever added: the newest of a job, or of a name, is in force.
create table archive.holds (
  hold_id bigint generated always as identity primary key,
  job_id bigint not null,
  is_held boolean not null,
  reason text,
  changed_at timestamptz not null default now(),
  sealed_in bigint
);
create index holds_job_id_idx on archive.holds (job_id, hold_id);
create index holds_unsealed_idx on archive.holds (hold_id) where sealed_in is null;
comment on table archive.holds is 'Legal holds, on and off. What is held is never removed.';
comment on column archive.holds.hold_id is 'In the order in which they were set.';
comment on column archive.holds.job_id is 'GitHub''s id of the job whose log is held.';
comment on column archive.holds.is_held is 'False where the hold was released.';
comment on column archive.holds.reason is 'In the operator''s words; null where none was given.';
comment on column archive.holds.changed_at is 'When, by the database''s clock.';
comment on column archive.holds.sealed_in is 'Sequence of the seal that carries it; null while it waits for one.';

create table archive.retention_policies (
  policy_id bigint generated always as identity primary key,
  name text not null check (name = lower(name)),
  keep_days integer check (keep_days > 0),
  changed_at timestamptz not null default now(),
  sealed_in bigint
);
create index retention_policies_name_idx on archive.retention_policies (name, policy_id);
create index retention_policies_unsealed_idx on archive.retention_policies (policy_id) where sealed_in is null;
comment on table archive.retention_policies is 'How long logs are kept, by owner or by repository; a repository''s own goes before its owner''s. Without one, for ever.';
comment on column archive.retention_policies.policy_id is 'In the order in which they were set.';
comment on column archive.retention_policies.name is 'owner or owner/name, in lower case.';
comment on column archive.retention_policies.keep_days is 'Days after a job''s end for which its log is kept; null: this name has no policy of its own any more.';
comment on column archive.retention_policies.changed_at is 'When, by the database''s clock.';
comment on column archive.retention_policies.sealed_in is 'Sequence of the seal that carries it; null while it waits for one.';

create table archive.tombstones (
  object_key text collate "C" primary key,
  job_id bigint not null,
  repository_id bigint not null,
  version_id text,
  size_bytes bigint not null,
  sha256 text not null check (sha256 ~ '^[0-9a-f]{64}$'),
  cause text not null check (cause in ('erase', 'retention')),
  reason text not null,
  decided_at timestamptz not null default now(),
  sealed_in bigint,
  due_at timestamptz default now(),
  removed_at timestamptz,
  retained_until timestamptz,
  problem text
);
create index tombstones_job_id_idx on archive.tombstones (job_id);
create index tombstones_unsealed_idx on archive.tombstones (object_key) where sealed_in is null;
create index tombstones_due_idx on archive.tombstones (due_at) where due_at is not null;
comment on table archive.tombstones is 'Logs that are removed: first the row, then this in a published seal, then the object.';
comment on column archive.tombstones.object_key is 'Key in the store of the log that goes.';
comment on column archive.tombstones.job_id is 'GitHub''s id of the job whose log it is.';
comment on column archive.tombstones.repository_id is 'GitHub''s id of the repository.';
comment on column archive.tombstones.version_id is 'The store''s id of the version that was sealed; null where it has none.';
comment on column archive.tombstones.size_bytes is 'Stored bytes of the log.';
comment on column archive.tombstones.sha256 is 'SHA-256 of its stored bytes, lower-case hex.';
comment on column archive.tombstones.cause is 'erase: an operator''s decision on one log. retention: a policy.';
comment on column archive.tombstones.reason is 'In the operator''s words, or the policy.';
comment on column archive.tombstones.decided_at is 'When, by the database''s clock.';
comment on column archive.tombstones.sealed_in is 'Sequence of the seal that carries it; null while it waits for one.';
comment on column archive.tombstones.due_at is 'When the store is asked next to remove it; null once it is gone.';
comment on column archive.tombstones.removed_at is 'When the object was removed, or seen to be gone; null while it is there.';
comment on column archive.tombstones.retained_until is 'Until when the store refuses to remove it: its version is locked; null where it does not, or does not say.';
comment on column archive.tombstones.problem is 'Why the object is still there after the store was asked; null when it was not asked, and once it is gone.';

create table archive.retention_walk (
  singleton boolean primary key default true check (singleton),
  policy_id bigint not null,
  repository_id bigint not null default 0,
  completed_at timestamptz not null default '-infinity',
  job_id bigint not null default 0,
  round_began_at timestamptz not null default now(),
  round_ended_at timestamptz
);
comment on table archive.retention_walk is 'How far the policies have been applied in this round over their repositories'' jobs, one row.';
comment on column archive.retention_walk.singleton is 'Always true: one row.';
comment on column archive.retention_walk.policy_id is 'The newest policy when this round began: a newer one begins another round.';
comment on column archive.retention_walk.repository_id is 'The repository that is being walked.';
comment on column archive.retention_walk.completed_at is 'When the last job completed that was looked at in it.';
comment on column archive.retention_walk.job_id is 'GitHub''s id of that job; 0 before the first.';
comment on column archive.retention_walk.round_began_at is 'When this round began, by the database''s clock.';
comment on column archive.retention_walk.round_ended_at is 'When this round ended; null while it goes on.';

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
comment on table archive.scrub is 'How far the rolling reading of the whole archive has come, one row.';
comment on column archive.scrub.singleton is 'Always true: one row.';
comment on column archive.scrub.position is 'The last key that was read in this round; empty at its beginning.';
comment on column archive.scrub.round_began_at is 'When this round began, by the database''s clock.';
comment on column archive.scrub.objects is 'How many objects there were when the round began.';
comment on column archive.scrub.objects_read is 'Objects read in this round.';
comment on column archive.scrub.bytes_read is 'Stored bytes read in this round.';
comment on column archive.scrub.last_round_ended_at is 'When the whole archive had last been read; null before the first time.';

-- A window that is extended or cut becomes another row, and is carried again; so is an attempt whose state changes.
alter table archive.windows add column sealed_in bigint;
alter table archive.attempts add column sealed_in bigint;
create index windows_unsealed_idx on archive.windows (repository_id) where sealed_in is null;
create index attempts_unsealed_idx on archive.attempts (run_id, run_attempt) where sealed_in is null;
comment on column archive.windows.sealed_in is 'Sequence of the seal that carries it; null while it waits for one.';
comment on column archive.attempts.sealed_in is 'Sequence of the seal that carries its state; null while that waits for one.';
