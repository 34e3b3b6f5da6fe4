-- security definer: the workers' role may delete no attempts.
create or replace function archive.retract_attempts(of_run_id bigint, newest_attempt integer) returns void
language sql security definer set search_path = pg_catalog
as $$
  delete from archive.attempts
  where run_id = of_run_id and run_attempt > newest_attempt and state = 'open' and record_key is null
    and not exists (
      select from archive.log_jobs
      where log_jobs.run_id = of_run_id and last_listed_attempt > newest_attempt
    );
  update archive.runs set run_attempt = newest_attempt
  where run_id = of_run_id and run_attempt > newest_attempt
    and not exists (select from archive.attempts where attempts.run_id = of_run_id and attempts.run_attempt > newest_attempt);
$$;
comment on function archive.retract_attempts is 'Removes open attempts that one wrong run object claimed: the run itself has fewer, and no job of theirs was ever seen.';
