-- Each act of an operator carries who did it and why. Rows from before this migration have null: it was not recorded.

alter table archive.holds
  add column by text,
  add column os_user text,
  add column database_user text;
alter table archive.retention_policies
  add column by text,
  add column os_user text,
  add column database_user text,
  add column reason text;
alter table archive.tombstones
  add column by text,
  add column os_user text,
  add column database_user text;
alter table archive.seals
  add column by text,
  add column os_user text,
  add column database_user text,
  add column reason text;

-- One row per retried log, and one per backfill step: rows are only ever added.
create table archive.retries (
  retry_id bigint generated always as identity primary key,
  job_id bigint not null,
  repository_id bigint not null,
  failed_for text,
  retried_at timestamptz not null default now(),
  by text,
  os_user text,
  database_user text,
  reason text,
  sealed_in bigint
);
create index retries_job_id_idx on archive.retries (job_id);
create index retries_unsealed_idx on archive.retries (retry_id) where sealed_in is null;
comment on table archive.retries is 'Failed logs that an operator made due at once with the retry command.';
comment on column archive.retries.retry_id is 'In the order of the retries.';
comment on column archive.retries.job_id is 'GitHub''s id of the job.';
comment on column archive.retries.repository_id is 'GitHub''s id of the repository.';
comment on column archive.retries.failed_for is 'The log_reason that it had until then; null where it had none.';
comment on column archive.retries.retried_at is 'When, by the database''s clock.';

create table archive.backfill_steps (
  step_id bigint generated always as identity primary key,
  backfill_id bigint not null,
  step text not null check (step in ('begin', 'pause', 'resume', 'cancel')),
  asked_for text[] not null,
  repository_ids bigint[] not null,
  since timestamptz not null,
  until timestamptz not null,
  taken_at timestamptz not null default now(),
  by text,
  os_user text,
  database_user text,
  reason text,
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
comment on column archive.backfill_steps.taken_at is 'When, by the database''s clock.';

do $$
declare
  act text;
begin
  foreach act in array array['holds', 'retention_policies', 'tombstones', 'seals', 'retries', 'backfill_steps'] loop
    -- Set after the column is there, so that rows from before keep null.
    if act <> 'seals' then
      execute format('alter table archive.%I alter column database_user set default session_user', act);
    end if;
    execute format('comment on column archive.%I.by is %L', act,
      'Who did it, as --by names them, or the operating system''s login; loader for what a policy removes. Null where it was not recorded.');
    execute format('comment on column archive.%I.os_user is %L', act,
      'Login of the operating system''s user whose process did it, or the user''s number where it has no name. Null where it was not recorded.');
    execute format('comment on column archive.%I.database_user is %L', act,
      'Login (session_user) of the database connection that did it. Null where it was not recorded.');
    if act in ('retention_policies', 'seals', 'retries', 'backfill_steps') then
      execute format('comment on column archive.%I.reason is %L', act, 'In the operator''s words; null where none was given.');
    end if;
    if act in ('retries', 'backfill_steps') then
      execute format('comment on column archive.%I.sealed_in is %L', act, 'Sequence of the seal that carries it; null while it waits for one.');
    end if;
  end loop;
end
$$;
comment on column archive.seals.by is 'Who had this seal announce the next key or correct earlier seals, as --by names them, or the operating system''s login. Null for a seal that does neither.';

-- The owner removes old runs by a function, as a login of the database: the operating system's user is not known there.
alter table archive.removals add column database_user text;
alter table archive.removals alter column database_user set default session_user;
comment on column archive.removals.database_user is 'Login (session_user) of the connection that removed them; of the last removal up to the same instant. Null where it was not recorded.';

-- Whatever else the function does by now stays.
do $$
declare
  definition text := pg_get_functiondef('archive.remove_runs_before(timestamptz)'::regprocedure);
  added constant text := 'insert into archive.removals select removal.*';
  summed constant text := 'closed_gaps = removals.closed_gaps + excluded.closed_gaps;';
begin
  if position(added in definition) = 0 or position(summed in definition) = 0 then
    raise exception 'archive.remove_runs_before does not record a removal as expected';
  end if;
  definition := replace(definition, added,
    'removal.database_user := session_user;' || E'\n  ' || added);
  execute replace(definition, summed,
    'closed_gaps = removals.closed_gaps + excluded.closed_gaps,' || E'\n    database_user = excluded.database_user;');
end
$$;
