-- Backfills: what operators requested and how far each has come. Runs and jobs refer to the backfill that found them, since live ones go
-- first.

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
comment on table archive.backfills is 'Requests of operators: the runs of some repositories, created in a span of time.';
comment on column archive.backfills.backfill_id is 'Our number of it, from 1.';
comment on column archive.backfills.state is 'running; paused: no requests to GitHub; cancelled: no more runs are listed, and found ones are archived; done: all runs are listed, and each log is archived, absent or failed.';
comment on column archive.backfills.asked_for is 'Repositories and patterns as the operator wrote them.';
comment on column archive.backfills.since is 'Runs created at this instant or later.';
comment on column archive.backfills.until is 'Runs created before this instant.';
comment on column archive.backfills.created_at is 'When it was requested, by the database''s clock.';
comment on column archive.backfills.ended_at is 'When it was done or cancelled; null before that.';

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
comment on column archive.backfill_repositories.backfill_id is 'The backfill.';
comment on column archive.backfill_repositories.repository_id is 'GitHub''s id of the repository.';
comment on column archive.backfill_repositories.listed_from is 'Runs created from here until the backfill''s end are listed: it moves from the end to the start.';
comment on column archive.backfill_repositories.estimated_runs is 'GitHub''s count of runs when it was requested; null if GitHub gave none.';
comment on column archive.backfill_repositories.done_at is 'When all was listed and each log was archived, absent or failed; null before that.';
comment on column archive.backfill_repositories.due_at is 'When it is worked on next, by the database''s clock.';
comment on column archive.backfill_repositories.lease_holder is 'The worker that holds it now; null when none ever did, or the last one gave it back.';
comment on column archive.backfill_repositories.leased_until is 'One worker at a time: the holder''s lease, by the database''s clock. Null without a holder.';
comment on column archive.backfill_repositories.problem is 'Why it could not go on the last time; null when it could.';
comment on column archive.backfill_repositories.problem_since is 'When that problem began; null without one.';

-- Rows are only ever added.
create table archive.backfill_steps (
  step_id bigint generated always as identity primary key,
  backfill_id bigint not null,
  step text not null check (step in ('begin', 'pause', 'resume', 'cancel')),
  asked_for text[] not null,
  repository_ids bigint[] not null,
  since timestamptz not null,
  until timestamptz not null,
  reason text,
  by text,
  os_user text,
  database_user text default session_user,
  taken_at timestamptz not null default now(),
  sealed_in bigint
);
create index backfill_steps_backfill_id_idx on archive.backfill_steps (backfill_id);
create index backfill_steps_unsealed_idx on archive.backfill_steps (step_id) where sealed_in is null;
comment on table archive.backfill_steps is 'What operators did with backfills: begun, paused, resumed, cancelled.';
comment on column archive.backfill_steps.step_id is 'In the order of the steps.';
comment on column archive.backfill_steps.backfill_id is 'The backfill; a rebuilt database has its steps from the seals, and the backfill itself no longer.';
comment on column archive.backfill_steps.step is 'begin, pause, resume or cancel.';
comment on column archive.backfill_steps.asked_for is 'Repositories and patterns as the operator wrote them.';
comment on column archive.backfill_steps.repository_ids is 'GitHub''s ids of the repositories that these named when the backfill began, in ascending order.';
comment on column archive.backfill_steps.since is 'Runs created at this instant or later.';
comment on column archive.backfill_steps.until is 'Runs created before this instant.';
comment on column archive.backfill_steps.reason is 'In the operator''s words; null where none was given.';
comment on column archive.backfill_steps.by is 'Who did it, as --by names them, or the operating system''s login; loader for what a policy removes. Null where it was not recorded.';
comment on column archive.backfill_steps.os_user is 'Login of the operating system''s user whose process did it, or the user''s number where it has no name. Null where it was not recorded.';
comment on column archive.backfill_steps.database_user is 'Login (session_user) of the database connection that did it. Null where it was not recorded.';
comment on column archive.backfill_steps.taken_at is 'When, by the database''s clock.';
comment on column archive.backfill_steps.sealed_in is 'Sequence of the seal that carries it; null while it waits for one.';
