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
  -- greatest() alone would pass over null and answer 0.
  case
    when jobs.started_at <= jobs.completed_at then floor(extract(epoch from jobs.completed_at - jobs.started_at))::bigint
    when jobs.started_at > jobs.completed_at then 0
  end as duration_seconds,
  coalesce(logs.log_state, obligations.log_state, 'pending') as log_state,
  case when logs.job_id is null then obligations.log_reason else logs.log_reason end as log_reason,
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
  coalesce(logs.record_key, obligations.record_key) as record_key,
  logs.record_version,
  logs.record_sha256,
  obligations.expires_at,
  obligations.object_source,
  obligations.object_received_at,
  obligations.log_detail,
  obligations.tries as log_tries,
  obligations.first_seen_at,
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
left join archive.obligations on obligations.job_id = jobs.job_id
left join archive.log_facts on log_facts.job_id = jobs.job_id
where jobs.status = 'completed';

comment on view audit.jobs is 'Completed jobs of workflow runs, each with what became of its log.';
comment on column audit.jobs.host is 'The GitHub host that is archived, as it stands in keys.';
comment on column audit.jobs.repository_id is 'GitHub''s id of the repository, which renames and transfers keep.';
comment on column audit.jobs.repository is 'The repository''s current owner/name; null when only its id is known.';
comment on column audit.jobs.run_id is 'GitHub''s id of the run.';
comment on column audit.jobs.run_attempt is 'The attempt that ran the job: the smallest that listed its id.';
comment on column audit.jobs.last_listed_attempt is 'The largest attempt that listed its id.';
comment on column audit.jobs.job_id is 'GitHub''s id of the job, another for each attempt that ran it.';
comment on column audit.jobs.workflow_name is 'GitHub''s name of the workflow; null when neither the job nor the run says it.';
comment on column audit.jobs.job_name is 'GitHub''s name of the job; null where the job object lacks it.';
comment on column audit.jobs.event is 'What triggered the run, in GitHub''s words; null until the run is known.';
comment on column audit.jobs.actor is 'Login of who triggered the run; null until the run is known, or when the account is gone.';
comment on column audit.jobs.triggering_actor is 'Login of who triggered the attempt that ran the job; null until that attempt itself was seen, or when the account is gone.';
comment on column audit.jobs.head_branch is 'The branch or tag; null when neither the job nor the run says it.';
comment on column audit.jobs.head_sha is 'The commit, lower-case hex; null when neither the job nor the run says it.';
comment on column audit.jobs.status is 'GitHub''s status: completed in every row.';
comment on column audit.jobs.conclusion is 'How the job ended, in GitHub''s words: success, failure, cancelled, skipped, timed_out, …; null where the job object lacks it.';
comment on column audit.jobs.runner_name is 'GitHub''s name of the runner; null or empty when the job had none.';
comment on column audit.jobs.runner_group_name is 'GitHub''s name of the runner''s group; null or empty when the job had no runner.';
comment on column audit.jobs.labels is 'The labels that the job asked for; empty where the job object lacks them.';
comment on column audit.jobs.created_at is 'GitHub''s created_at of the job; null in objects of old GHES releases.';
comment on column audit.jobs.started_at is 'GitHub''s started_at: on the runner, or of a skipped job; null where the job object lacks it.';
comment on column audit.jobs.completed_at is 'GitHub''s completed_at, which can be before started_at; null where the job object lacks it.';
comment on column audit.jobs.duration_seconds is 'Whole seconds from started_at to completed_at; 0 when negative, null when unknown.';
comment on column audit.jobs.log_state is 'archived, absent (no log, for a checked reason), pending (still asked for) or failed (tried again daily).';
comment on column audit.jobs.log_reason is 'Why the log is absent (not_run, not_a_job, copied, expired, deleted, empty, removed) or failed (forbidden, no_access, redirect_refused, too_large, incomplete, upstream_error, crashed, unloadable); null when it is archived or pending.';
comment on column audit.jobs.log_flags is 'Doubts about an archived log: outside_job_window, no_end_marker, no_timestamps, changed_since, same_as_other_job, adopted. Empty when there is none.';
comment on column audit.jobs.log_key is 'The log''s object in the store, relative to the prefix; null unless the log is archived.';
comment on column audit.jobs.log_bytes is 'Size of the raw log, as GitHub sent it, in bytes; null unless it is archived.';
comment on column audit.jobs.log_sha256 is 'SHA-256 of the raw log, lower-case hex; null unless it is archived.';
comment on column audit.jobs.archived_at is 'When the log was stored, by the log-worker''s clock; null unless it is archived.';
comment on column audit.jobs.runner_id is 'GitHub''s id of the runner; null or 0 when the job had none.';
comment on column audit.jobs.html_url is 'The job''s page at GitHub, while GitHub keeps it; null where the job object lacks it.';
comment on column audit.jobs.log_version_id is 'The version of the log''s object; null where the store has no versions, and unless the log is archived.';
comment on column audit.jobs.log_stored_bytes is 'Size of the log''s object in bytes, compressed; null unless it is archived.';
comment on column audit.jobs.log_stored_sha256 is 'SHA-256 of the log''s object, lower-case hex; null unless it is archived.';
comment on column audit.jobs.log_lines is 'Lines of the raw log; null unless it is archived.';
comment on column audit.jobs.log_first_line_at is 'The time of the first line that has one; null when none has, and unless the log is archived.';
comment on column audit.jobs.log_last_line_at is 'The time of the last line that has one; null when none has, and unless the log is archived.';
comment on column audit.jobs.copied_from_job_id is 'The job of an earlier attempt whose log this is, when the reason is copied, else null.';
comment on column audit.jobs.record_key is 'The record in force, in the store, relative to the prefix; null until the log is archived or absent.';
comment on column audit.jobs.record_version is 'The version of that record, from 1; null until there is one.';
comment on column audit.jobs.record_sha256 is 'SHA-256 of that record''s bytes, lower-case hex; null until there is one.';
comment on column audit.jobs.expires_at is 'When GitHub''s retention removes the log, as far as we know; null where the ledger does not say.';
comment on column audit.jobs.object_source is 'How the job object in the ledger came: listing, webhook or get; null when the ledger no longer has it.';
comment on column audit.jobs.object_received_at is 'When that object came; null when the ledger no longer has it.';
comment on column audit.jobs.log_detail is 'What happened the last time that the log was asked for, in words for people; null when all went well.';
comment on column audit.jobs.log_tries is 'How often the log was asked for in vain; null when the ledger no longer has the job.';
comment on column audit.jobs.first_seen_at is 'When this archive first saw the job as completed, by the database''s clock; null when the ledger no longer has the job.';
comment on column audit.jobs.action_uses_left_out is 'How many action uses of the log are not in audit.action_uses, which is capped; null where the log was not searched for them.';
comment on column audit.jobs.annotations_left_out is 'How many annotations of the log are not in audit.annotations, which is capped; null where the log was not searched for them.';
comment on column audit.jobs.permissions_left_out is 'How many permissions are not in audit.permissions; null where the log was not searched for them.';
comment on column audit.jobs.locked_actions is 'Whether the runner says in the log that it used the action versions of the workflow''s lockfile, as runners since 2.336 do; null where the log was not searched for it.';
comment on column audit.jobs.cache_mode is 'What the job could do in the Actions cache, by the log: read, write, write-only or none; null where no log says it, as before 2.336.';
comment on column audit.jobs.workflow_path is 'The workflow''s file, with @ and the ref where GitHub adds it; null until the run is known, and where the run object lacks it.';
comment on column audit.jobs.run_number is 'The run''s number in its workflow; null until the run is known, and where the run object lacks it.';
comment on column audit.jobs.pull_request_numbers is 'Numbers of the pull requests that GitHub names in the run object of this attempt: open ones of the same repository, none for a fork. Null until the attempt itself was seen, and where the object lacks them.';
comment on column audit.jobs.head_repository is 'owner/name that the commit is from: a fork, or the repository itself; null until the attempt itself was seen, and where the object lacks it, as after a fork was deleted.';
