-- Removes whole partitions, and the ledger's rows one by one.
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
  perform from archive.locks where name = 'removal' for update;
  -- A branch for each partial index: what is owed is found without walking what is not.
  select count(*) into owed from (
    select run_id, job_id from archive.log_jobs where log_state = 'pending'
    union select run_id, job_id from archive.log_jobs where log_state = 'failed'
    union select run_id, job_id from archive.log_jobs where rows_loaded_at is null
    union select run_id, job_id from archive.log_jobs where log_state in ('archived', 'absent') and record_key is null
    union select run_id, job_id from archive.log_jobs where recheck_at is not null
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

  -- The ledger: as if runs before the horizon had never been requested.
  select horizon, now(), 0, 0, count(*) into removal
  from archive.attempts join archive.runs using (run_id)
  where created_at < horizon and state in ('gone', 'never_completed');
  delete from archive.log_leases using archive.log_jobs, archive.runs
  where log_leases.job_id = log_jobs.job_id and log_jobs.run_id = runs.run_id and created_at < horizon;
  delete from archive.log_jobs using archive.runs where log_jobs.run_id = runs.run_id and created_at < horizon;
  get diagnostics removal.jobs = row_count;
  delete from archive.attempts using archive.runs where attempts.run_id = runs.run_id and created_at < horizon;
  delete from archive.runs where created_at < horizon;
  get diagnostics removal.runs = row_count;
  delete from archive.full_seconds where second_start < horizon;
  delete from archive.window_checks where window_start < horizon;
  delete from archive.windows where window_end <= horizon;
  update archive.windows set window_start = horizon where window_start < horizon;
  update archive.repositories set archive_since = horizon where archive_since < horizon or archive_since is null;
  removal.database_user := session_user;
  insert into archive.removals select removal.*
  on conflict (runs_before) do update set
    removed_at = excluded.removed_at,
    runs = removals.runs + excluded.runs,
    jobs = removals.jobs + excluded.jobs,
    closed_gaps = removals.closed_gaps + excluded.closed_gaps,
    database_user = excluded.database_user;
  return removal;
end
$$;
comment on function archive.remove_runs_before is 'Removes what this database holds of runs created before an instant: drops whole partitions, and takes the rest out of the ledger. The store keeps everything. For the owner of the tables alone. Refuses while anything before that instant is owed.';
revoke all on function archive.remove_runs_before from public;
