-- What is kept, for how long, and what was removed: from the store by policies and erasures, from this database by removals.

-- Rows of archive.holds and archive.retention_policies are only ever added: the newest of a job, or of a name, is in force.
create table archive.retention_policies (
  policy_id bigint generated always as identity primary key,
  name text not null check (name = lower(name)),
  keep_days integer check (keep_days > 0),
  reason text,
  by text,
  os_user text,
  database_user text default session_user,
  changed_at timestamptz not null default now(),
  sealed_in bigint
);
create index retention_policies_name_idx on archive.retention_policies (name, policy_id);
create index retention_policies_unsealed_idx on archive.retention_policies (policy_id) where sealed_in is null;
comment on table archive.retention_policies is 'How long logs are kept, by owner or by repository; a repository''s own goes before its owner''s. Without one, for ever.';
comment on column archive.retention_policies.policy_id is 'In the order in which they were set.';
comment on column archive.retention_policies.name is 'owner or owner/name, in lower case.';
comment on column archive.retention_policies.keep_days is 'Days after a job''s end for which its log is kept; null: this name has no policy of its own any more.';
comment on column archive.retention_policies.reason is 'In the operator''s words; null where none was given.';
comment on column archive.retention_policies.by is 'Who did it, as --by names them, or the operating system''s login; loader for what a policy removes. Null where it was not recorded.';
comment on column archive.retention_policies.os_user is 'Login of the operating system''s user whose process did it, or the user''s number where it has no name. Null where it was not recorded.';
comment on column archive.retention_policies.database_user is 'Login (session_user) of the database connection that did it. Null where it was not recorded.';
comment on column archive.retention_policies.changed_at is 'When, by the database''s clock.';
comment on column archive.retention_policies.sealed_in is 'Sequence of the seal that carries it; null while it waits for one.';

create table archive.holds (
  hold_id bigint generated always as identity primary key,
  job_id bigint not null,
  is_held boolean not null,
  reason text,
  by text,
  os_user text,
  database_user text default session_user,
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
comment on column archive.holds.by is 'Who did it, as --by names them, or the operating system''s login; loader for what a policy removes. Null where it was not recorded.';
comment on column archive.holds.os_user is 'Login of the operating system''s user whose process did it, or the user''s number where it has no name. Null where it was not recorded.';
comment on column archive.holds.database_user is 'Login (session_user) of the database connection that did it. Null where it was not recorded.';
comment on column archive.holds.changed_at is 'When, by the database''s clock.';
comment on column archive.holds.sealed_in is 'Sequence of the seal that carries it; null while it waits for one.';

create table archive.tombstones (
  object_key text collate "C" primary key,
  job_id bigint not null,
  repository_id bigint not null,
  version_id text,
  size_bytes bigint not null,
  sha256 text not null check (sha256 ~ '^[0-9a-f]{64}$'),
  cause text not null check (cause in ('erase', 'retention')),
  reason text not null,
  by text,
  os_user text,
  database_user text default session_user,
  decided_at timestamptz not null default now(),
  is_trusted boolean not null default true,
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
comment on column archive.tombstones.by is 'Who did it, as --by names them, or the operating system''s login; loader for what a policy removes. Null where it was not recorded.';
comment on column archive.tombstones.os_user is 'Login of the operating system''s user whose process did it, or the user''s number where it has no name. Null where it was not recorded.';
comment on column archive.tombstones.database_user is 'Login (session_user) of the database connection that did it. Null where it was not recorded.';
comment on column archive.tombstones.decided_at is 'When, by the database''s clock.';
comment on column archive.tombstones.is_trusted is 'False if it came from a chain that no configured key verified: then no object is removed for it.';
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
comment on column archive.retention_walk.completed_at is 'completed_at of the last job that was checked.';
comment on column archive.retention_walk.job_id is 'GitHub''s id of that job; 0 before the first.';
comment on column archive.retention_walk.round_began_at is 'When this round began, by the database''s clock.';
comment on column archive.retention_walk.round_ended_at is 'When this round ended; null while it goes on.';

-- A removal counts for a verifier only once a seal carries it: otherwise a forged row could excuse any deletion of rows. The database
-- login alone is recorded: the owner removes runs by a function, which does not know the user of the operating system.
create table archive.removals (
  runs_before timestamptz primary key,
  removed_at timestamptz not null default now(),
  runs bigint not null,
  jobs bigint not null,
  closed_gaps bigint not null,
  database_user text default session_user,
  sealed_in bigint
);
comment on table archive.removals is 'What was removed from this database, not from the store: the ledger knows nothing of runs created before the latest runs_before.';
comment on column archive.removals.runs_before is 'Runs created before this instant are no longer in the ledger.';
comment on column archive.removals.removed_at is 'When, by the database''s clock.';
comment on column archive.removals.runs is 'How many runs were removed.';
comment on column archive.removals.jobs is 'How many jobs were removed from the ledger, each with its log archived or absent.';
comment on column archive.removals.closed_gaps is 'How many attempts among them had vanished or never completed.';
comment on column archive.removals.database_user is 'Login (session_user) of the connection that removed them; of the last removal up to the same instant. Null where it was not recorded.';
comment on column archive.removals.sealed_in is 'Sequence of the seal that carries it as it is now; null while it waits for one.';
