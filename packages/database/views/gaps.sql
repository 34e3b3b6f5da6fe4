-- One row per owed or lost item. reason has few values, to group by; detail is text.
create view audit.gaps as
with spans as (
  -- GitHub's clock ended the last window. The time since then, without polls, is measured by the database's clock.
  select
    repositories.repository_id,
    archive_since,
    covered.until as covered_until,
    covered.until + case
      when problem is not null then greatest(now() - problem_since, interval '0')
      when poll_due_at < now() - interval '5 minutes' then now() - polled_at
      else interval '0'
    end as owed_until,
    covered.spans
  from archive.repositories
  cross join lateral (
    select max(window_end) as until, range_agg(tstzrange(window_start, window_end)) as spans
    from archive.windows
    where windows.repository_id = repositories.repository_id
  ) as covered
  where is_selected
),
open_windows as (
  select spans.repository_id, lower(span) as window_start, upper(span) as window_end, covered_until
  from spans
  cross join lateral unnest(
    tstzmultirange(tstzrange(archive_since, coalesce(owed_until, greatest(now(), archive_since))))
    - coalesce(spans, '{}')
    - coalesce((
      select range_agg(tstzrange(second_start, second_start + interval '1 second'))
      from archive.full_seconds
      where full_seconds.repository_id = spans.repository_id
    ), '{}')
    - coalesce((
      select range_agg(tstzrange(window_start, window_end))
      from archive.window_checks
      where window_checks.repository_id = spans.repository_id and reason = 'incomplete'
    ), '{}')
  ) as span
  where archive_since is not null and (owed_until is null or archive_since < owed_until)
  union all
  -- The first scan runs backwards from now, and sets archive_since at its end.
  select repository_id, null, (select min(window_start) from archive.windows where windows.repository_id = spans.repository_id), covered_until
  from spans
  where archive_since is null
),
all_gaps as (
  select
    'window_open' as kind, repositories.repository_id, repositories.full_name as repository,
    null::bigint as run_id, null::integer as run_attempt, null::bigint as job_id, window_start, window_end,
    case
      when problem is not null then 'problem'
      when window_start >= covered_until then 'overdue'
      else 'unlisted'
    end as reason,
    problem as detail,
    case
      when problem is not null then problem_since
      when window_start >= covered_until then polled_at
      else first_seen_at
    end as since
  from open_windows
  join archive.repositories using (repository_id)

  union all
  -- Spans of backfills that are not listed yet, except those that polls owe.
  select
    'window_open', repository_id, full_name, null, null, null, lower(span), upper(span),
    case
      when backfills.state = 'paused' then 'paused'
      when work.problem is not null then 'problem'
      else 'unlisted'
    end,
    coalesce(work.problem, format('backfill %s', backfill_id)), coalesce(work.problem_since, backfills.created_at)
  from archive.backfill_repositories as work
  join archive.backfills using (backfill_id)
  join archive.repositories using (repository_id)
  cross join lateral unnest(
    tstzmultirange(tstzrange(backfills.since, work.listed_from))
    - coalesce((select range_agg(tstzrange(window_start, window_end)) from archive.windows where windows.repository_id = work.repository_id), '{}')
    - case when is_selected then tstzmultirange(tstzrange(archive_since, null)) else '{}' end
  ) as span
  where backfills.state in ('running', 'paused') and work.listed_from > backfills.since

  union all
  -- Spans in which GitHub showed fewer runs than it counted. Parts that were listed completely since then are covered.
  select
    case when incomplete_since is null then 'window_open' else 'list_incomplete' end,
    repository_id, full_name, null, null, null, lower(span), upper(span), 'incomplete',
    format('GitHub promised %s runs and showed %s, %s times', promised_runs, shown_runs, tries), window_checks.first_seen_at
  from archive.window_checks
  join archive.repositories using (repository_id)
  cross join lateral unnest(
    tstzmultirange(tstzrange(window_start, window_end))
    - coalesce((
      select range_agg(tstzrange(windows.window_start, windows.window_end))
      from archive.windows
      where windows.repository_id = window_checks.repository_id
    ), '{}')
  ) as span
  where reason = 'incomplete'

  union all
  select
    'window_open', null, name, null, null, null, null, null, 'problem', problem, since
  from archive.unreadable_repositories
  where not exists (
    select from archive.repositories
    where is_selected and problem is not null and lower(full_name) = lower(unreadable_repositories.name)
  )

  union all
  select
    'second_full', repository_id, full_name, null, null, null, second_start, second_start + interval '1 second',
    'list_cap', 'GitHub lists 1,000 runs of this second and no more', seen_at
  from archive.full_seconds
  join archive.repositories using (repository_id)

  union all
  select
    case when incomplete_since is null then 'run_open' else 'list_incomplete' end,
    repository_id, full_name, run_id, attempts.run_attempt, null, null, null,
    case
      when not is_selected then 'not_selected'
      when check_reason is not null then check_reason
      when attempts.status = 'completed' or attempts.run_attempt < runs.run_attempt then 'unlisted'
      else coalesce(attempts.status, 'unknown')
    end,
    check_detail, attempts.first_seen_at
  from archive.attempts
  join archive.repositories using (repository_id)
  join archive.runs using (run_id, repository_id)
  where attempts.state = 'open'

  union all
  select
    case attempts.state when 'gone' then 'attempt_gone' else 'never_completed' end,
    repository_id, full_name, run_id, run_attempt, null, null, null,
    case attempts.state when 'gone' then 'deleted' else 'too_old' end,
    null, attempts.first_seen_at
  from archive.attempts
  join archive.repositories using (repository_id)
  where attempts.state in ('gone', 'never_completed')

  union all
  select
    'job_not_loaded', repository_id, full_name, run_id, run_attempt, job_id, null, null,
    'queued', null, log_jobs.first_seen_at
  from archive.log_jobs
  join archive.repositories using (repository_id)
  where rows_loaded_at is null

  union all
  select
    'job_not_loaded', repository_id, full_name, run_id, run_attempt, job_id, null, null,
    'unloadable', log_detail, log_jobs.first_seen_at
  from archive.log_jobs
  join archive.repositories using (repository_id)
  where log_state = 'failed' and log_reason = 'unloadable' and rows_loaded_at is not null

  union all
  select
    'job_not_loaded', repository_id, full_name, run_id, attempts.run_attempt, missing.job_id, null, null,
    'not_completed', 'its attempt completed and listed it, and it never completed', attempts.listed_at
  from archive.attempts
  join archive.repositories using (repository_id)
  cross join lateral unnest(missing_job_ids) as missing (job_id)
  where attempts.missing_job_ids <> '{}' and attempts.state = 'listed'
    and not exists (select from archive.log_jobs where log_jobs.job_id = missing.job_id)

  union all
  select
    'object_unusable', repository_id, full_name, run_id, run_attempt, job_id, placed_at, null,
    unusable_objects.kind, format('%s: %s', unusable_objects.problem, left(object::text, 1000)), unusable_objects.first_seen_at
  from archive.unusable_objects
  join archive.repositories using (repository_id)

  union all
  select
    'log_pending', repository_id, full_name, run_id, run_attempt, job_id, null, null,
    case when tries = 0 then 'queued' else 'again_later' end, log_detail, log_jobs.first_seen_at
  from archive.log_jobs
  join archive.repositories using (repository_id)
  where log_state = 'pending'

  union all
  select
    'log_failed', repository_id, full_name, run_id, run_attempt, job_id, null, null,
    log_reason, log_detail, log_jobs.first_seen_at
  from archive.log_jobs
  join archive.repositories using (repository_id)
  where log_state = 'failed'

  union all
  select
    'log_without_record', repository_id, full_name, run_id, run_attempt, job_id, null, null,
    'no_record', format('the ledger says %s and names no record', log_state), decided_at
  from archive.log_jobs
  join archive.repositories using (repository_id)
  where log_state in ('archived', 'absent') and record_key is null

  union all
  -- Within two intervals a seal is not overdue.
  select
    'not_sealed', null, null, null, null, null, null, null,
    case
      when sealing.key_id is null then 'no_key'
      when sealing.problem is not null then 'problem'
      else 'overdue'
    end,
    sealing.problem, unsealed.since
  from (select min(recorded_at) as since from archive.objects where sealed_in is null) as unsealed
  left join archive.sealing on true
  where sealing.key_id is null and unsealed.since is not null
    or unsealed.since < now() - make_interval(secs => 2 * sealing.interval_seconds)
    or sealing.problem_since < now() - make_interval(secs => 2 * sealing.interval_seconds)
)
select
  all_gaps.kind, identity.host, all_gaps.repository_id, all_gaps.repository, all_gaps.run_id, all_gaps.run_attempt, all_gaps.job_id,
  all_gaps.window_start, all_gaps.window_end, all_gaps.reason, all_gaps.detail, all_gaps.since
from all_gaps
cross join archive.identity;

comment on view audit.gaps is 'Everything the archive owes or has lost, one row each. A row of audit.coverage is complete exactly if none of its runs and jobs is here.';
comment on column audit.gaps.kind is 'window_open: runs not listed. second_full: a second with more runs than GitHub lists. run_open: an attempt with unlisted jobs. list_incomplete: a list of runs or jobs that GitHub repeatedly returned short, empty or not at all; retried with backoff. object_unusable: a run or job object that the ledger cannot use. never_completed, attempt_gone: closed, reopened when the run is seen again. job_not_loaded, log_pending, log_failed: rows or log owed. log_without_record: a decided log without a record in the ledger. not_sealed: objects wait for a seal; one row for the archive.';
comment on column audit.gaps.host is 'GitHub host.';
comment on column audit.gaps.repository_id is 'Null if unknown, and for the whole archive.';
comment on column audit.gaps.repository is 'Current owner/name, or a configured name that GitHub does not know; null for the whole archive.';
comment on column audit.gaps.run_id is 'Null unless the gap is of a run.';
comment on column audit.gaps.run_attempt is 'Null unless the gap is of an attempt.';
comment on column audit.gaps.job_id is 'Null unless the gap is of a job.';
comment on column audit.gaps.window_start is 'Of a span of created_at, inclusive; of object_unusable, about when the run was created; null if unknown or not a span.';
comment on column audit.gaps.window_end is 'Of a span of created_at, exclusive; null if it lasts until now or is not a span.';
comment on column audit.gaps.reason is 'window_open: problem, overdue (not polled), unlisted (not yet listed), paused (backfill), incomplete (fewer runs than GitHub counts). run_open: the run''s status; if it has ended, unlisted, not_selected, settling (listed once more after its completion), or as list_incomplete. list_incomplete: lagging (a job is not completed), incomplete, empty, unusable, list_not_found, run_not_found, unreadable. object_unusable: run or job. log_failed: log_reason of audit.jobs, which may be null. not_sealed: no_key (no loader had a sealing key), problem, overdue (no sealing loader is running).';
comment on column audit.gaps.detail is 'Last error, as text; null if none.';
comment on column audit.gaps.since is 'When the ledger first owed it; null if unknown.';
