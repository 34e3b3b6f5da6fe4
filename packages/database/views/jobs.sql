create view audit.jobs as
select
  identity.host,
  jobs.repository_id,
  repositories.full_name as repository,
  jobs.run_id,
  jobs.run_attempt,
  jobs.last_listed_attempt,
  jobs.job_id,
  coalesce(jobs.workflow_name, runs.workflow_name) as workflow_name,
  jobs.job_name,
  runs.event,
  -- As in audit.attempts.
  case when attempts.object is null then runs.actor else attempts.actor end as actor,
  case
    when attempts.object is not null then attempts.triggering_actor
    when jobs.run_attempt = runs.run_attempt then runs.triggering_actor
  end as triggering_actor,
  coalesce(jobs.head_branch, runs.head_branch) as head_branch,
  coalesce(jobs.head_sha, runs.head_sha) as head_sha,
  jobs.status,
  jobs.conclusion,
  jobs.runner_name,
  jobs.runner_group_name,
  jobs.labels,
  jobs.created_at,
  jobs.started_at,
  jobs.completed_at,
  -- greatest() ignores null and would return 0.
  case
    when jobs.started_at <= jobs.completed_at then floor(extract(epoch from jobs.completed_at - jobs.started_at))::bigint
    when jobs.started_at > jobs.completed_at then 0
  end as duration_seconds,
  coalesce(logs.log_state, log_jobs.log_state, 'pending') as log_state,
  case when logs.job_id is null then log_jobs.log_reason else logs.log_reason end as log_reason,
  coalesce(logs.log_flags, '{}') as log_flags,
  logs.log_key,
  logs.raw_bytes as log_bytes,
  logs.raw_sha256 as log_sha256,
  logs.archived_at,
  jobs.runner_id,
  jobs.html_url,
  logs.log_version_id,
  logs.stored_bytes as log_stored_bytes,
  logs.stored_sha256 as log_stored_sha256,
  logs.lines as log_lines,
  logs.first_line_at as log_first_line_at,
  logs.last_line_at as log_last_line_at,
  logs.copied_from_job_id,
  coalesce(logs.record_key, log_jobs.record_key) as record_key,
  logs.record_version,
  logs.record_sha256,
  log_jobs.expires_at,
  log_jobs.object_source,
  log_jobs.object_received_at,
  log_jobs.log_detail,
  log_jobs.tries as log_tries,
  log_jobs.first_seen_at,
  log_facts.action_uses_left_out,
  log_facts.annotations_left_out,
  log_facts.permissions_left_out,
  log_facts.locked_actions,
  log_facts.cache_mode,
  runs.path as workflow_path,
  runs.run_number,
  attempts.pull_request_numbers,
  attempts.head_repository
from archive.jobs
cross join archive.identity
left join archive.repositories on repositories.repository_id = jobs.repository_id
left join archive.runs on runs.run_id = jobs.run_id
left join archive.attempts on attempts.run_id = jobs.run_id and attempts.run_attempt = jobs.run_attempt
left join archive.logs on logs.job_id = jobs.job_id
left join archive.log_jobs on log_jobs.job_id = jobs.job_id
left join archive.log_facts on log_facts.job_id = jobs.job_id
where jobs.status = 'completed';

comment on view audit.jobs is 'Completed jobs of workflow runs, each with the state of its log. A fact that GitHub''s job or run object lacks is null.';
comment on column audit.jobs.host is 'GitHub host.';
comment on column audit.jobs.repository_id is 'GitHub''s id.';
comment on column audit.jobs.repository is 'Current owner/name; null if only the id is known.';
comment on column audit.jobs.run_id is 'GitHub''s id.';
comment on column audit.jobs.run_attempt is 'Attempt that ran the job: the smallest that listed its id.';
comment on column audit.jobs.last_listed_attempt is 'Largest attempt that listed its id.';
comment on column audit.jobs.job_id is 'GitHub''s id; differs for each attempt that ran the job.';
comment on column audit.jobs.workflow_name is 'Null if unknown.';
comment on column audit.jobs.job_name is 'Null if unknown.';
comment on column audit.jobs.event is 'What triggered the run; null until the run is fetched.';
comment on column audit.jobs.actor is 'Who triggered the run; null if the account is gone or the run is not fetched.';
comment on column audit.jobs.triggering_actor is 'Who triggered the attempt that ran the job; null if the account is gone or the attempt is not fetched.';
comment on column audit.jobs.head_branch is 'Branch or tag; null if unknown.';
comment on column audit.jobs.head_sha is 'Commit; null if unknown.';
comment on column audit.jobs.status is 'Always completed.';
comment on column audit.jobs.conclusion is 'success, failure, cancelled, skipped, timed_out, …; null if unknown.';
comment on column audit.jobs.runner_name is 'Null or empty without a runner.';
comment on column audit.jobs.runner_group_name is 'Null or empty without a runner.';
comment on column audit.jobs.labels is 'Labels of runs-on; empty if unknown.';
comment on column audit.jobs.created_at is 'Null in objects of old GHES releases.';
comment on column audit.jobs.started_at is 'Start on the runner; set for skipped jobs, too; null if unknown.';
comment on column audit.jobs.completed_at is 'May be before started_at; null if unknown.';
comment on column audit.jobs.duration_seconds is 'From started_at to completed_at; 0 if negative, null if unknown.';
comment on column audit.jobs.log_state is 'archived, absent (no log, for a verified reason), pending (not decided) or failed (retried daily).';
comment on column audit.jobs.log_reason is 'absent: not_run, not_a_job, copied, expired, deleted, empty, removed. failed: forbidden, no_access, redirect_refused, too_large, incomplete, upstream_error, crashed, unloadable. Null if archived or pending.';
comment on column audit.jobs.log_flags is 'Doubts about an archived log: outside_job_window, no_end_marker, no_timestamps, changed_since, same_as_other_job, adopted.';
comment on column audit.jobs.log_key is 'Object, relative to the store''s prefix; null unless archived.';
comment on column audit.jobs.log_bytes is 'Size of the raw log; null unless archived.';
comment on column audit.jobs.log_sha256 is 'SHA-256 of the raw log; null unless archived.';
comment on column audit.jobs.archived_at is 'When the log was stored, by the log-worker''s clock; null unless archived.';
comment on column audit.jobs.runner_id is 'GitHub''s id; null or 0 without a runner.';
comment on column audit.jobs.html_url is 'The job''s page at GitHub; null if unknown.';
comment on column audit.jobs.log_version_id is 'Version of the object; null if the store has none, or unless archived.';
comment on column audit.jobs.log_stored_bytes is 'Compressed size; null unless archived.';
comment on column audit.jobs.log_stored_sha256 is 'SHA-256 of the object; null unless archived.';
comment on column audit.jobs.log_lines is 'Lines of the raw log; null unless archived.';
comment on column audit.jobs.log_first_line_at is 'First time in the log; null if it has none, or unless archived.';
comment on column audit.jobs.log_last_line_at is 'Last time in the log; null if it has none, or unless archived.';
comment on column audit.jobs.copied_from_job_id is 'Job of an earlier attempt with the same log, if log_reason is copied, else null.';
comment on column audit.jobs.record_key is 'Record in force, relative to the store''s prefix; null until the log is archived or absent.';
comment on column audit.jobs.record_version is 'Counted from 1; null without a record.';
comment on column audit.jobs.record_sha256 is 'SHA-256 of the record; null without a record.';
comment on column audit.jobs.expires_at is 'When GitHub''s retention removes the log; null if unknown.';
comment on column audit.jobs.object_source is 'Where the job object is from: listing, webhook or get; null if the ledger no longer has the job.';
comment on column audit.jobs.object_received_at is 'When the job object was received; null if the ledger no longer has the job.';
comment on column audit.jobs.log_detail is 'Last error of the download, as text; null if none.';
comment on column audit.jobs.log_tries is 'Failed downloads; null if the ledger no longer has the job.';
comment on column audit.jobs.first_seen_at is 'When this archive first saw the job completed; null if the ledger no longer has the job.';
comment on column audit.jobs.action_uses_left_out is 'Rows over the cap of audit.action_uses; null if not extracted.';
comment on column audit.jobs.annotations_left_out is 'Rows over the cap of audit.annotations; null if not extracted.';
comment on column audit.jobs.permissions_left_out is 'Rows over the cap of audit.permissions; null if not extracted.';
comment on column audit.jobs.locked_actions is 'True if the log states that the runner (2.336 or later) used the workflow''s lockfile; null if not extracted.';
comment on column audit.jobs.cache_mode is 'Access to the Actions cache, by the log: read, write, write-only or none; null if not in the log, as before runner 2.336.';
comment on column audit.jobs.workflow_path is 'Workflow file, with @ref where GitHub adds it; null until the run is fetched.';
comment on column audit.jobs.run_number is 'Number within the workflow; null until the run is fetched.';
comment on column audit.jobs.pull_request_numbers is 'As in audit.attempts; null if unknown.';
comment on column audit.jobs.head_repository is 'As in audit.attempts; null if unknown.';
