-- What GitHub's answers promised and did not show. An attempt or a span of runs stays open until an answer shows all of it, an object
-- that cannot be used is kept as it came, and no single answer closes anything for good.

alter table archive.attempts
  add column check_reason text check (
    check_reason in ('settling', 'lagging', 'incomplete', 'empty', 'unusable', 'list_not_found', 'run_not_found', 'unreadable')
  ),
  add column check_detail text,
  add column check_failures integer not null default 0,
  add column same_reason_checks integer not null default 0,
  add column same_reason_since timestamptz,
  add column incomplete_since timestamptz,
  add column missing_job_ids bigint[] not null default '{}';
comment on column archive.attempts.check_reason is 'Why the last check of an open attempt did not close it: settling (its run completed moments ago, it is listed once more), lagging (a job is not completed although the run is), incomplete (fewer jobs than GitHub promised), empty (no job at all), unusable (a job object that cannot be used), list_not_found (404 for its jobs, while the run answers), run_not_found (404 for the run), unreadable (another error). Null while its run goes on.';
comment on column archive.attempts.check_detail is 'What the last check found, in words for people; null when there is nothing to say.';
comment on column archive.attempts.check_failures is 'How many checks in a row ended with such a reason, settling aside.';
comment on column archive.attempts.same_reason_checks is 'How many checks in a row ended with this check_reason.';
comment on column archive.attempts.same_reason_since is 'When the first of those was, by the database''s clock; null without one.';
comment on column archive.attempts.incomplete_since is 'When the attempt became a gap of kind list_incomplete, by the database''s clock; null while its list is read again soon.';
comment on column archive.attempts.missing_job_ids is 'Jobs that its final listing showed and that had not completed. One that completes later is in archive.obligations, too.';
comment on column archive.attempts.state is 'Our decision: open, listed, gone (its run answered 404 for a day), or never_completed (closed at 35 days). Whatever shows the run again reopens it.';

-- Whose jobs were missing was only counted: they are listed once more.
update archive.attempts set state = 'open', visit_due_at = now() where missing_jobs > 0 and state = 'listed';
drop index archive.attempts_missing_jobs_idx;
alter table archive.attempts drop column missing_jobs;
create index attempts_missing_jobs_idx on archive.attempts (run_id) where missing_job_ids <> '{}';

create table archive.window_checks (
  repository_id bigint not null references archive.repositories,
  window_start timestamptz not null,
  window_end timestamptz not null,
  reason text not null check (reason in ('incomplete', 'unusable', 'second_listing')),
  promised_runs integer,
  shown_runs integer,
  tries integer not null default 1,
  due_at timestamptz not null,
  first_seen_at timestamptz not null default now(),
  incomplete_since timestamptz,
  check (window_start < window_end),
  primary key (repository_id, window_start, window_end)
);
comment on table archive.window_checks is 'Spans of run created_at that are to be listed again.';
comment on column archive.window_checks.repository_id is 'GitHub''s id of the repository.';
comment on column archive.window_checks.window_start is 'Runs created at this instant or later.';
comment on column archive.window_checks.window_end is 'Runs created before this instant.';
comment on column archive.window_checks.reason is 'incomplete: GitHub promised more runs than it showed, and the span is not covered. unusable: it is covered, but for a run that cannot be used. second_listing: it is covered by one listing, and too old for the regular scan for re-runs.';
comment on column archive.window_checks.promised_runs is 'total_count of the last listing; null where none was incomplete.';
comment on column archive.window_checks.shown_runs is 'How many distinct runs it showed; null where none was incomplete.';
comment on column archive.window_checks.tries is 'How often it was listed with this result.';
comment on column archive.window_checks.due_at is 'When it is listed again, by the database''s clock.';
comment on column archive.window_checks.first_seen_at is 'When it was first listed with this result, by the database''s clock.';
comment on column archive.window_checks.incomplete_since is 'When it became a gap of kind list_incomplete, by the database''s clock; null while it is read again soon.';

create table archive.unusable_objects (
  repository_id bigint not null references archive.repositories,
  kind text not null check (kind in ('run', 'job')),
  object_key text not null,
  run_id bigint,
  run_attempt integer,
  job_id bigint,
  placed_at timestamptz,
  object json not null,
  problem text not null,
  first_seen_at timestamptz not null default now(),
  last_seen_at timestamptz not null default now(),
  primary key (repository_id, kind, object_key)
);
comment on table archive.unusable_objects is 'Run and job objects of lists that the ledger cannot use: gaps until a later list shows them otherwise, or not at all.';
comment on column archive.unusable_objects.repository_id is 'GitHub''s id of the repository whose list showed it.';
comment on column archive.unusable_objects.kind is 'run or job.';
comment on column archive.unusable_objects.object_key is 'Its id where that is usable, else the SHA-256 of its JSON.';
comment on column archive.unusable_objects.run_id is 'Its run; null where the object''s id is unusable.';
comment on column archive.unusable_objects.run_attempt is 'The attempt whose list showed a job; null for a run.';
comment on column archive.unusable_objects.job_id is 'Its job id; null for a run, and where it is unusable.';
comment on column archive.unusable_objects.placed_at is 'A run''s created_at, or where that is unusable the one of its neighbour in the list: the day that it makes incomplete. Null for a job.';
comment on column archive.unusable_objects.object is 'The object as received.';
comment on column archive.unusable_objects.problem is 'What is wrong with it, in words for people.';
comment on column archive.unusable_objects.first_seen_at is 'When it was first listed, by the database''s clock.';
comment on column archive.unusable_objects.last_seen_at is 'When it was last listed, by the database''s clock.';

create function archive.retract_attempts(of_run_id bigint, newest_attempt integer) returns void
language sql security definer set search_path = pg_catalog
as $$
  delete from archive.attempts
  where run_id = of_run_id and run_attempt > newest_attempt and state = 'open' and record_key is null
    and not exists (
      select from archive.obligations
      where obligations.run_id = of_run_id and last_listed_attempt > newest_attempt
    );
  update archive.runs set run_attempt = newest_attempt
  where run_id = of_run_id and run_attempt > newest_attempt
    and not exists (select from archive.attempts where attempts.run_id = of_run_id and attempts.run_attempt > newest_attempt);
$$;
comment on function archive.retract_attempts is 'Removes open attempts that one wrong run object claimed: the run itself has fewer, and no job of theirs was ever seen.';

-- As before; what is to be listed again counts as owed, and goes with what is removed.
create or replace function archive.remove_runs_before(horizon timestamptz) returns archive.removals
language plpgsql set search_path = pg_catalog
as $$
declare
  first bigint;
  owed bigint;
  removal archive.removals;
begin
  -- GitHub re-runs for 30 days, and a run may go on for 35: what comes after that would be found again.
  if horizon > now() - interval '36 days' then
    raise exception 'Runs younger than 36 days can still change: nothing is removed' using errcode = 'invalid_parameter_value';
  end if;
  perform pg_advisory_xact_lock(hashtext('actions-archive removal'));
  -- A branch for each partial index: what is owed is found without walking what is not.
  select count(*) into owed from (
    select run_id, job_id from archive.obligations where log_state = 'pending'
    union select run_id, job_id from archive.obligations where log_state = 'failed'
    union select run_id, job_id from archive.obligations where rows_loaded_at is null
    union select run_id, job_id from archive.obligations where log_state in ('archived', 'absent') and record_key is null
    union select run_id, job_id from archive.obligations where relook_at is not null
    union select run_id, null from archive.attempts where state = 'open'
    union select run_id, null from archive.attempts where state = 'listed' and record_key is null
  ) as open_work
  join archive.runs using (run_id)
  where created_at < horizon;
  select owed + count(*) into owed from archive.backfills where since < horizon and state in ('running', 'paused');
  select owed + count(*) into owed from archive.window_checks where window_start < horizon and reason = 'incomplete';
  select owed + count(*) into owed from archive.unusable_objects where placed_at < horizon;
  if owed > 0 then
    raise exception '% jobs, runs or backfills from before % are still owed: nothing is removed', owed, horizon
      using errcode = 'object_in_use', hint = 'Ask audit.gaps which.';
  end if;

  -- Whole partitions go; jobs of the one that the horizon cuts stay, without their ledger, until it goes too.
  for first in
    select substring(relname from '\d+$')::bigint
    from pg_inherits join pg_class on pg_class.oid = inhrelid
    where inhparent = 'archive.jobs'::regclass
    order by 1
  loop
    exit when exists (
      select from archive.jobs left join archive.runs using (run_id)
      where job_id >= first and job_id < first + archive.partition_width(first)
        and coalesce(runs.created_at, jobs.created_at, 'infinity') >= horizon
    );
    execute (
      select format('drop table %s', string_agg(format('archive.%I', format('%s_%s', relname, first)), ', '))
      from pg_class where relnamespace = 'archive'::regnamespace and relkind = 'p'
    );
  end loop;

  -- The ledger: as if nothing before the horizon had ever been asked for.
  select horizon, now(), 0, 0, count(*) into removal
  from archive.attempts join archive.runs using (run_id)
  where created_at < horizon and state in ('gone', 'never_completed');
  delete from archive.logs_in_flight using archive.obligations, archive.runs
  where logs_in_flight.job_id = obligations.job_id and obligations.run_id = runs.run_id and created_at < horizon;
  delete from archive.obligations using archive.runs where obligations.run_id = runs.run_id and created_at < horizon;
  get diagnostics removal.jobs = row_count;
  delete from archive.attempts using archive.runs where attempts.run_id = runs.run_id and created_at < horizon;
  delete from archive.runs where created_at < horizon;
  get diagnostics removal.runs = row_count;
  delete from archive.full_seconds where second_start < horizon;
  delete from archive.window_checks where window_start < horizon;
  delete from archive.windows where window_end <= horizon;
  update archive.windows set window_start = horizon where window_start < horizon;
  update archive.repositories set archive_since = horizon where archive_since < horizon or archive_since is null;
  insert into archive.removals select removal.*
  on conflict (runs_before) do update set
    removed_at = excluded.removed_at,
    runs = removals.runs + excluded.runs,
    jobs = removals.jobs + excluded.jobs,
    closed_gaps = removals.closed_gaps + excluded.closed_gaps;
  return removal;
end
$$;
