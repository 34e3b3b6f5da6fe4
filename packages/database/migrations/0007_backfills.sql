-- Backfills: what operators asked for and how far each has come; which runs and jobs one found, since those come after live ones.
create table archive.backfills (
  backfill_id bigint generated always as identity primary key,
  state text not null default 'running' check (state in ('running', 'paused', 'cancelled', 'done')),
  asked_for text[] not null,
  since timestamptz not null,
  until timestamptz not null,
  created_at timestamptz not null default now(),
  ended_at timestamptz,
  check (since < until),
  check ((state in ('cancelled', 'done')) = (ended_at is not null))
);
comment on table archive.backfills is 'What operators asked for: the runs of some repositories, created in a span of time.';
comment on column archive.backfills.state is 'Running. Paused: nothing of it is asked of GitHub. Cancelled: nothing more is looked for; what was found is archived. Done: all of it is listed, and each log is archived, absent or failed.';
comment on column archive.backfills.asked_for is 'Repositories and patterns as the operator wrote them.';
comment on column archive.backfills.since is 'Runs created at this instant or later.';
comment on column archive.backfills.until is 'Runs created before this instant.';
comment on column archive.backfills.ended_at is 'When it was done or cancelled.';

create table archive.backfill_repositories (
  backfill_id bigint not null references archive.backfills,
  repository_id bigint not null references archive.repositories,
  listed_from timestamptz not null,
  estimated_runs bigint,
  done_at timestamptz,
  due_at timestamptz not null default now(),
  lease_holder uuid,
  leased_until timestamptz,
  problem text,
  problem_since timestamptz,
  primary key (backfill_id, repository_id)
);
create index backfill_repositories_due_at_idx on archive.backfill_repositories (due_at) where done_at is null;
comment on table archive.backfill_repositories is 'How far a backfill has come in each of its repositories.';
comment on column archive.backfill_repositories.listed_from is 'Runs created from here until the backfill''s end are listed: it moves from the end to the start.';
comment on column archive.backfill_repositories.estimated_runs is 'How many runs GitHub counted when it was asked for; null where it could not say.';
comment on column archive.backfill_repositories.done_at is 'When all was listed and each log was archived, absent or failed.';
comment on column archive.backfill_repositories.due_at is 'When it is worked on next, by the database''s clock.';
comment on column archive.backfill_repositories.leased_until is 'One worker at a time: the holder''s lease, by the database''s clock.';
comment on column archive.backfill_repositories.problem is 'Why it could not go on the last time; null when it could.';

alter table archive.runs add column backfill_id bigint references archive.backfills;
comment on column archive.runs.backfill_id is 'The backfill that found it; null when a poll or a webhook was first.';
alter table archive.obligations add column backfill_id bigint;
comment on column archive.obligations.backfill_id is 'The backfill whose run it belongs to: fed after live jobs, by expiry. Null: live.';

-- One narrow index for each lane of the feeder, by repository: what is due is found without walking the backlog.
create index obligations_live_idx on archive.obligations (repository_id, completed_at desc nulls last)
  where log_state = 'pending' and backfill_id is null;
create index obligations_expiring_idx on archive.obligations (repository_id, expires_at) where log_state = 'pending';
create index obligations_failed_idx on archive.obligations (repository_id, due_at) where log_state = 'failed';
drop index archive.obligations_due_idx;
drop index archive.obligations_relook_idx;
create index obligations_relook_idx on archive.obligations (repository_id, relook_at) where relook_at is not null;
