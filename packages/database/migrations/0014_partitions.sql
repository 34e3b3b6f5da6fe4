-- The auditor's tables in pieces by job id, so that old rows go by dropping a piece (docs/decisions/0014-partitions.md). No foreign
-- keys between them: each checked its parent row by row, a third of the loader's time. The loader writes parents first.
-- Ids grow with time. A piece is a tenth to a twenty-fifth as wide as its ids are large, so that there are some 30 of them at github.com
-- as on a young server, whatever ids GitHub gives: 5,000,000,000 wide in 2026, which is two months.
create function archive.partition_width(job_id bigint) returns bigint
language sql immutable strict parallel safe
as $$
  select greatest(100000, magnitude / case when job_id >= 5 * magnitude then 2 when job_id >= 2 * magnitude then 5 else 10 end)
  from (select power(10::numeric, length(job_id::text) - 1)::bigint) as of_id(magnitude)
$$;
comment on function archive.partition_width is 'How many ids the partition of a job spans.';

create function archive.partition_start(job_id bigint) returns bigint
language sql immutable strict parallel safe
as $$ select job_id - job_id % archive.partition_width(job_id) $$;
comment on function archive.partition_start is 'The smallest id of the partition of a job, which ends each name of it.';

-- Attached instead of made in place: `create table … partition of` would wait for every reader of the table and block all that follow.
create function archive.make_partitions(job_ids bigint[]) returns void
language plpgsql security definer set search_path = pg_catalog
as $$
declare
  first bigint;
  parent text;
begin
  -- Held until the rows are committed: none is removed between here and there.
  perform pg_advisory_xact_lock_shared(hashtext('actions-archive removal'));
  for first in select distinct archive.partition_start(job_id) from unnest(job_ids) as job_id order by 1 loop
    continue when to_regclass(format('archive.jobs_%s', first)) is not null;
    -- The lock that attaching takes. Readers and writers go on; a second maker waits, and then sees what the first has made.
    lock table archive.jobs in share update exclusive mode;
    continue when to_regclass(format('archive.jobs_%s', first)) is not null;
    for parent in
      select relname from pg_class where relnamespace = 'archive'::regnamespace and relkind = 'p' order by relname
    loop
      execute format('create table archive.%I (like archive.%I including all)', format('%s_%s', parent, first), parent);
      execute format('alter table archive.%I attach partition archive.%I for values from (%s) to (%s)',
        parent, format('%s_%s', parent, first), first, first + archive.partition_width(first));
    end loop;
  end loop;
end
$$;
comment on function archive.make_partitions is 'Makes the partitions that these jobs'' rows go to, where they are not there. Call it in the transaction that writes the rows, before that. Idempotent.';

-- Rebuilt by the same `migrate`.
drop schema if exists audit cascade;

alter table archive.jobs rename to jobs_whole;
alter table archive.steps rename to steps_whole;
alter table archive.logs rename to logs_whole;
alter table archive.sections rename to sections_whole;
alter table archive.action_uses rename to action_uses_whole;
alter table archive.annotations rename to annotations_whole;
alter table archive.permissions rename to permissions_whole;
alter table archive.log_facts rename to log_facts_whole;

-- `including all` carries the columns' comments; the tables' follow below.
create table archive.jobs (like archive.jobs_whole including all excluding indexes) partition by range (job_id);
create table archive.steps (like archive.steps_whole including all excluding indexes) partition by range (job_id);
create table archive.logs (like archive.logs_whole including all excluding indexes) partition by range (job_id);
create table archive.sections (like archive.sections_whole including all excluding indexes) partition by range (job_id);
create table archive.action_uses (like archive.action_uses_whole including all excluding indexes) partition by range (job_id);
create table archive.annotations (like archive.annotations_whole including all excluding indexes) partition by range (job_id);
create table archive.permissions (like archive.permissions_whole including all excluding indexes) partition by range (job_id);
create table archive.log_facts (like archive.log_facts_whole including all excluding indexes) partition by range (job_id);

do $$
declare
  moved text;
  columns text;
begin
  perform archive.make_partitions(array(select distinct archive.partition_start(job_id) from archive.jobs_whole));
  foreach moved in array array['jobs', 'steps', 'logs', 'sections', 'action_uses', 'annotations', 'permissions', 'log_facts'] loop
    select string_agg(quote_ident(attname), ', ' order by attnum) into columns
    from pg_attribute
    where attrelid = format('archive.%I', moved)::regclass and attnum > 0 and attgenerated = '';
    execute format('insert into archive.%1$I (%2$s) select %2$s from archive.%3$I order by job_id', moved, columns, moved || '_whole');
    execute format('drop table archive.%I cascade', moved || '_whole');
  end loop;
end
$$;

alter table archive.jobs add primary key (job_id);
alter table archive.steps add primary key (job_id, step_number);
alter table archive.logs add primary key (job_id);
alter table archive.sections add primary key (job_id, step_number);
alter table archive.action_uses add primary key (job_id, position);
alter table archive.annotations add primary key (job_id, line_number);
alter table archive.permissions add primary key (job_id, scope);
alter table archive.log_facts add primary key (job_id);
create index jobs_repository_id_completed_at_idx on archive.jobs (repository_id, completed_at);
create index jobs_completed_at_idx on archive.jobs (completed_at);
create index jobs_run_id_idx on archive.jobs (run_id);
create index logs_raw_sha256_idx on archive.logs (raw_sha256);
create index action_uses_action_lower_idx on archive.action_uses (action_lower);
create index action_uses_sha_idx on archive.action_uses (sha);

comment on table archive.jobs is 'Jobs of workflow runs, one row for each id that GitHub gave. In partitions by job_id, as are all tables of a job''s rows.';
comment on table archive.steps is 'Steps of jobs by GitHub''s own numbers, which have gaps.';
comment on table archive.logs is 'How each job''s log ended, from its record in the store. A log that is pending or failed has no row.';
comment on table archive.sections is 'The lines of a job''s log that belong to a step. Lines that no step owns for certain are in the record alone.';
comment on table archive.action_uses is 'Actions, reusable workflows and images that a job''s runner got, by its own log.';
comment on table archive.annotations is 'Lines of logs that the runner marks as errors, warnings and notices: the first and the last of a log.';
comment on table archive.permissions is 'What the GITHUB_TOKEN of a job was allowed, by its log.';
comment on table archive.log_facts is 'What the text of a job''s log says once, and how whole the lists of it are. A row for each job whose record in force looked at the log.';

-- Coverage is counted repository by repository.
drop index archive.attempts_coverage_idx;
create index attempts_coverage_idx on archive.attempts (repository_id, run_id) include (state);
drop index archive.obligations_coverage_idx;
drop index archive.obligations_repository_id_idx;
create index obligations_coverage_idx on archive.obligations (repository_id, run_id) include (log_state, log_reason, rows_loaded_at);

-- Two more checks, row by row, of what is written and removed together: a third of a removal's time.
alter table archive.attempts drop constraint attempts_run_id_fkey;
alter table archive.logs_in_flight drop constraint logs_in_flight_job_id_fkey;

create table archive.removals (
  runs_before timestamptz primary key,
  removed_at timestamptz not null default now(),
  runs bigint not null,
  jobs bigint not null,
  closed_gaps bigint not null
);
comment on table archive.removals is 'What was removed from this database, not from the store: the ledger knows nothing of runs created before the latest runs_before.';
comment on column archive.removals.runs_before is 'Runs created before this instant are no longer in the ledger.';
comment on column archive.removals.removed_at is 'When, by the database''s clock.';
comment on column archive.removals.runs is 'How many runs were removed.';
comment on column archive.removals.jobs is 'How many jobs were removed from the ledger, each with its log archived or absent.';
comment on column archive.removals.closed_gaps is 'How many attempts among them had vanished or never completed.';

create function archive.remove_runs_before(horizon timestamptz) returns archive.removals
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
comment on function archive.remove_runs_before is 'Removes what this database holds of runs created before an instant: drops whole partitions, and takes the rest out of the ledger. The store keeps everything. For the owner of the tables alone. Refuses while anything before that instant is owed.';
revoke all on function archive.remove_runs_before from public;
