-- A covered span is split at midnight, so that one failed log makes a day incomplete and not a year. A lateral join counts each
-- repository separately, from indexes in the order of its runs, without sorting and hashing the whole archive.
create view audit.coverage as
with missing_jobs as (
  select attempts.run_id, count(*)::integer as missing
  from archive.attempts
  cross join lateral unnest(missing_job_ids) as missing (job_id)
  where attempts.missing_job_ids <> '{}' and attempts.state = 'listed'
    and not exists (select from archive.log_jobs where log_jobs.job_id = missing.job_id)
  group by attempts.run_id
),
unrecorded as (
  select run_id, count(*)::integer as logs
  from archive.log_jobs
  where log_state in ('archived', 'absent') and record_key is null
  group by run_id
)
select
  identity.host,
  repositories.repository_id,
  repositories.full_name as repository,
  counted.window_start,
  counted.window_end,
  counted.runs_found,
  counted.attempts_found,
  counted.jobs_found,
  counted.jobs_loaded,
  counted.logs_archived,
  counted.logs_absent,
  counted.logs_pending,
  counted.logs_failed,
  counted.owed + unusable.runs = 0 as complete
from archive.repositories
cross join archive.identity
cross join lateral (
  select
    slices.window_start,
    slices.window_end,
    count(runs.run_id) as runs_found,
    coalesce(sum(run_attempts.found), 0) as attempts_found,
    coalesce(sum(run_jobs.found), 0) + coalesce(sum(missing_jobs.missing), 0) as jobs_found,
    coalesce(sum(run_jobs.loaded), 0) as jobs_loaded,
    coalesce(sum(run_jobs.archived), 0) as logs_archived,
    coalesce(sum(run_jobs.absent), 0) as logs_absent,
    coalesce(sum(run_jobs.pending), 0) as logs_pending,
    coalesce(sum(run_jobs.failed), 0) as logs_failed,
    coalesce(
      sum(run_attempts.unlisted + coalesce(missing_jobs.missing, 0) + coalesce(unrecorded.logs, 0)
        + coalesce(run_jobs.found - run_jobs.loaded + run_jobs.pending + run_jobs.failed, 0)),
      0
    ) as owed
  from (
    select
      day,
      greatest(windows.window_start, day at time zone 'UTC') as window_start,
      least(windows.window_end, (day + interval '1 day') at time zone 'UTC') as window_end
    from archive.windows
    cross join lateral generate_series(
      date_trunc('day', windows.window_start at time zone 'UTC'),
      (windows.window_end - interval '1 microsecond') at time zone 'UTC',
      interval '1 day'
    ) as day
    where windows.repository_id = repositories.repository_id
  ) as slices
  left join archive.runs
    on runs.repository_id = repositories.repository_id
    and date_trunc('day', runs.created_at at time zone 'UTC') = slices.day
    and runs.created_at >= slices.window_start and runs.created_at < slices.window_end
  left join (
    select run_id, count(*)::integer as found, (count(*) filter (where state <> 'listed'))::integer as unlisted
    from archive.attempts
    where attempts.repository_id = repositories.repository_id
    group by run_id
  ) as run_attempts on run_attempts.run_id = runs.run_id
  left join (
    select
      run_id,
      count(*)::integer as found,
      (count(*) filter (where rows_loaded_at is not null and log_reason is distinct from 'unloadable'))::integer as loaded,
      (count(*) filter (where log_state = 'archived'))::integer as archived,
      (count(*) filter (where log_state = 'absent'))::integer as absent,
      (count(*) filter (where log_state = 'pending'))::integer as pending,
      (count(*) filter (where log_state = 'failed'))::integer as failed
    from archive.log_jobs
    where log_jobs.repository_id = repositories.repository_id
    group by run_id
  ) as run_jobs on run_jobs.run_id = runs.run_id
  left join missing_jobs on missing_jobs.run_id = runs.run_id
  left join unrecorded on unrecorded.run_id = runs.run_id
  group by slices.window_start, slices.window_end
) as counted
cross join lateral (
  select count(*) as runs
  from archive.unusable_objects
  where unusable_objects.repository_id = repositories.repository_id
    and placed_at >= counted.window_start and placed_at < counted.window_end
) as unusable;

comment on view audit.coverage is 'Spans of a run''s created_at in which every run was listed: disjoint, half-open, and at most one UTC day each. Spans without a row are in audit.gaps.';
comment on column audit.coverage.host is 'GitHub host.';
comment on column audit.coverage.repository_id is 'GitHub''s id.';
comment on column audit.coverage.repository is 'Current owner/name.';
comment on column audit.coverage.window_start is 'Inclusive.';
comment on column audit.coverage.window_end is 'Exclusive.';
comment on column audit.coverage.runs_found is 'Runs listed.';
comment on column audit.coverage.attempts_found is 'Attempts of these runs.';
comment on column audit.coverage.jobs_found is 'Jobs of these attempts; each id counts once.';
comment on column audit.coverage.jobs_loaded is 'Jobs with current rows in audit.jobs.';
comment on column audit.coverage.logs_archived is 'Jobs whose log is archived.';
comment on column audit.coverage.logs_absent is 'Jobs without a log, for a verified reason.';
comment on column audit.coverage.logs_pending is 'Jobs whose log is not decided.';
comment on column audit.coverage.logs_failed is 'Jobs whose log could not be downloaded; retried.';
comment on column audit.coverage.complete is 'True if each attempt was listed after its completion with all promised jobs, each job is loaded, and each log is archived or absent with a record.';
