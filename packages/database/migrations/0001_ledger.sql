-- The ledger: what was found at GitHub and what is still owed. Written by the fetcher and the log-worker.
create schema if not exists archive;
comment on schema archive is 'Tables of Actions Archive: free to change. Ask the views in schema audit.';

create table archive.identity (
  singleton boolean primary key default true check (singleton),
  archive_id uuid not null,
  host text not null,
  created_at timestamptz not null default now()
);
comment on table archive.identity is 'Which archive this database belongs to; equals archive.json in the store.';
comment on column archive.identity.host is 'The GitHub host that is archived, as it stands in keys.';

create table archive.repositories (
  repository_id bigint primary key,
  full_name text not null,
  is_private boolean,
  is_selected boolean not null default true,
  log_retention_days integer,
  archive_since timestamptz,
  rescanned_at timestamptz,
  youngest_gone_seconds bigint,
  polled_at timestamptz,
  poll_due_at timestamptz not null default now(),
  problem text,
  problem_since timestamptz,
  lease_holder uuid,
  leased_until timestamptz,
  first_seen_at timestamptz not null default now()
);
create index repositories_poll_due_at_idx on archive.repositories (poll_due_at) where is_selected;
comment on table archive.repositories is 'Repositories that are archived, by GitHub''s id, which renames and transfers keep.';
comment on column archive.repositories.full_name is 'The current owner/name.';
comment on column archive.repositories.is_selected is 'False once ARCHIVE_REPOSITORIES no longer names it; what was archived stays.';
comment on column archive.repositories.log_retention_days is 'How many days GitHub keeps logs, by its retention endpoint; null where it does not say.';
comment on column archive.repositories.archive_since is 'Runs created earlier are not asked for.';
comment on column archive.repositories.youngest_gone_seconds is 'The youngest age at which a log here answered 410: how long logs are kept where the endpoint does not say.';
comment on column archive.repositories.rescanned_at is 'When the last 30 days were last compared for re-runs.';
comment on column archive.repositories.problem is 'Why it could not be listed the last time; null when it could.';
comment on column archive.repositories.leased_until is 'One poll at a time: the holder''s lease, by the database''s clock.';

create table archive.windows (
  repository_id bigint not null references archive.repositories,
  window_start timestamptz not null,
  window_end timestamptz not null,
  scanned_at timestamptz not null,
  check (window_start < window_end),
  primary key (repository_id, window_start)
);
comment on table archive.windows is 'Spans of run created_at that were listed to their end; half-open, disjoint, extended in place.';

create table archive.full_seconds (
  repository_id bigint not null references archive.repositories,
  second_start timestamptz not null,
  seen_at timestamptz not null default now(),
  primary key (repository_id, second_start)
);
comment on table archive.full_seconds is 'Seconds in which GitHub lists 1,000 runs, its cap: there may be more that it does not show.';

create table archive.runs (
  run_id bigint primary key,
  repository_id bigint not null references archive.repositories,
  run_number bigint,
  run_attempt integer not null,
  workflow_id bigint,
  workflow_name text,
  path text,
  event text,
  actor text,
  triggering_actor text,
  head_branch text,
  head_sha text,
  status text,
  conclusion text,
  created_at timestamptz not null,
  run_started_at timestamptz,
  updated_at timestamptz,
  first_seen_at timestamptz not null default now()
);
create index runs_repository_id_created_at_idx on archive.runs (repository_id, created_at);
comment on table archive.runs is 'Workflow runs, as their newest attempt shows them.';
comment on column archive.runs.run_attempt is 'The newest attempt seen.';

create table archive.attempts (
  run_id bigint not null references archive.runs,
  run_attempt integer not null check (run_attempt > 0),
  repository_id bigint not null references archive.repositories,
  state text not null default 'open' check (state in ('open', 'listed', 'gone', 'never_completed')),
  status text,
  conclusion text,
  object json,
  run_updated_at timestamptz,
  visits integer not null default 0,
  visit_due_at timestamptz not null default now(),
  listed_at timestamptz,
  listed_jobs integer,
  record_key text,
  first_seen_at timestamptz not null default now(),
  primary key (run_id, run_attempt)
);
create index attempts_visit_due_at_idx on archive.attempts (repository_id, visit_due_at) where state = 'open';
create index attempts_unrecorded_idx on archive.attempts (run_id) where state = 'listed' and record_key is null;
comment on table archive.attempts is 'Attempts of runs. Open: jobs may still come. Listed: its jobs were listed after it completed. Gone: it vanished before that.';
comment on column archive.attempts.object is 'The run as GitHub showed this attempt, as received.';
comment on column archive.attempts.visit_due_at is 'When an open attempt is looked at again.';
comment on column archive.attempts.record_key is 'Its run record in the store.';

create table archive.obligations (
  job_id bigint primary key,
  repository_id bigint not null references archive.repositories,
  run_id bigint not null,
  run_attempt integer not null,
  last_listed_attempt integer not null,
  job_name text,
  runner_name text,
  conclusion text,
  started_at timestamptz,
  completed_at timestamptz,
  object json not null,
  object_source text not null check (object_source in ('listing', 'webhook', 'get')),
  object_steps integer not null default 0,
  object_received_at timestamptz not null,
  log_state text not null default 'pending' check (log_state in ('pending', 'archived', 'absent', 'failed')),
  log_reason text,
  log_detail text,
  tries integer not null default 0,
  due_at timestamptz not null default now(),
  expires_at timestamptz,
  record_key text,
  unsettled_at timestamptz,
  relook_at timestamptz,
  rows_loaded_at timestamptz,
  decided_at timestamptz,
  first_seen_at timestamptz not null default now()
);
create index obligations_due_idx on archive.obligations (due_at) where log_state in ('pending', 'failed');
create index obligations_relook_idx on archive.obligations (relook_at) where relook_at is not null;
create index obligations_unloaded_idx on archive.obligations (job_id) where rows_loaded_at is null;
create index obligations_run_id_idx on archive.obligations (run_id, run_attempt);
create index obligations_repository_id_idx on archive.obligations (repository_id);
comment on table archive.obligations is 'One row for each completed job: its object as received, and what is owed for its log.';
comment on column archive.obligations.run_attempt is 'The smallest attempt that listed this id: the one that ran the job.';
comment on column archive.obligations.object is 'The job object as received; json, since jsonb refuses NUL.';
comment on column archive.obligations.object_steps is 'How many steps the object holds: one with more replaces one with fewer.';
comment on column archive.obligations.log_detail is 'What happened the last time, in words for an operator; never a signed link.';
comment on column archive.obligations.due_at is 'When a pending or failed log is asked for next, by the database''s clock.';
comment on column archive.obligations.unsettled_at is 'When the log was first read without its end; the next reading is stored as it is.';
comment on column archive.obligations.relook_at is 'When a log that looks deleted is looked at once more, before its expiry.';
comment on column archive.obligations.expires_at is 'When GitHub''s retention removes the log, as far as we know.';
comment on column archive.obligations.rows_loaded_at is 'When the job''s rows were last loaded; null while they are owed.';

create table archive.credentials (
  credential text primary key,
  paused_until timestamptz,
  pause_reason text,
  limit_per_hour integer,
  remaining integer,
  reset_at timestamptz,
  observed_at timestamptz
);
comment on table archive.credentials is 'What each GitHub credential may still ask, shared by all workers. Holds names of credentials, never secrets.';

create table archive.unreadable_repositories (
  name text primary key,
  problem text not null,
  since timestamptz not null default now()
);
comment on table archive.unreadable_repositories is 'Entries of ARCHIVE_REPOSITORIES that lead to no readable repository, as of the last look.';
