-- Comments for every column that had none, or that did not say when it is null. docs/sql.md is made from them.

comment on column archive.action_uses.ref is 'The branch, tag or commit that the workflow names; an image''s tag or digest. Null where the log names none.';
comment on column archive.action_uses.sha is 'The commit that the runner got, lower-case hex; sha256:… of an image. Null where the log does not say, as in 2021 and before.';
comment on column archive.action_uses.used_at is 'The time of that line; null where it has none.';

comment on column archive.attempts.run_id is 'GitHub''s id of the run.';
comment on column archive.attempts.run_attempt is 'GitHub''s number of the attempt, from 1.';
comment on column archive.attempts.repository_id is 'GitHub''s id of the repository.';
comment on column archive.attempts.state is 'Our decision: open, listed, gone, or never_completed (closed at 35 days).';
comment on column archive.attempts.status is 'GitHub''s status of the attempt; null where it was never seen by itself.';
comment on column archive.attempts.conclusion is 'GitHub''s conclusion of the attempt; null until it has one.';
comment on column archive.attempts.object is 'The run as GitHub showed this attempt, as received; null where only a later attempt was seen.';
comment on column archive.attempts.run_updated_at is 'GitHub''s updated_at of that object: an older one does not replace it. Null without an object.';
comment on column archive.attempts.visits is 'How often it was looked at while it was open.';
comment on column archive.attempts.listed_at is 'When its final list of jobs was read, by the database''s clock; null before that.';
comment on column archive.attempts.listed_jobs is 'How many jobs that list had; null before it was read.';
comment on column archive.attempts.record_key is 'Its run record in the store, relative to the prefix; null until it is written.';
comment on column archive.attempts.first_seen_at is 'When this archive first saw it, by the database''s clock.';
comment on column archive.attempts.told_at is 'When a webhook last told of it: for an hour it is not visited because the run list changed. Null when none did.';

comment on column archive.backfill_repositories.backfill_id is 'The backfill.';
comment on column archive.backfill_repositories.repository_id is 'GitHub''s id of the repository.';
comment on column archive.backfill_repositories.done_at is 'When all was listed and each log was archived, absent or failed; null before that.';
comment on column archive.backfill_repositories.lease_holder is 'The worker that holds it now; null when none ever did, or the last one gave it back.';
comment on column archive.backfill_repositories.leased_until is 'One worker at a time: the holder''s lease, by the database''s clock. Null without a holder.';
comment on column archive.backfill_repositories.problem_since is 'When that problem began; null without one.';

comment on column archive.backfills.backfill_id is 'Our number of it, from 1.';
comment on column archive.backfills.created_at is 'When it was asked for, by the database''s clock.';
comment on column archive.backfills.ended_at is 'When it was done or cancelled; null before that.';

comment on column archive.credential_holders.credential is 'The credential''s name.';
comment on column archive.credential_holders.holder is 'A random id of the process.';
comment on column archive.credential_holders.requests is 'How many requests the process runs on it now.';
comment on column archive.credential_holders.leased_until is 'When the row lapses unless it is renewed, by the database''s clock.';

comment on column archive.credentials.credential is 'Its name: token, app-ID or installation-ID. Never the secret.';
comment on column archive.credentials.paused_until is 'When the last pause ends or ended, by the database''s clock; null when there was none.';
comment on column archive.credentials.pause_reason is 'Why it was paused, in words for an operator; null when it never was.';
comment on column archive.credentials.limit_per_hour is 'GitHub''s primary limit in requests an hour, as of the last answer that told; it holds until reset_at. Null before one did.';
comment on column archive.credentials.reset_at is 'When the window ends, by the database''s clock; null before an answer told.';
comment on column archive.credentials.observed_at is 'When an answer last told of the limit, by the database''s clock; null before one did.';
comment on column archive.credentials.unread_at is 'When the last of the unread ended; null when there was none.';
comment on column archive.credentials.reset_seconds is 'The same as reset_at by GitHub''s clock, in seconds since 1970, as its header said it: it tells one window from the next. Null before an answer told.';
comment on column archive.credentials.hour_started_at is 'The hour of our own count, for GITHUB_MAX_REQUESTS_PER_HOUR and for operators; null before the first request.';
comment on column archive.credentials.guessed_until is 'The end of the last pause whose length GitHub did not name; null when there was none.';

comment on column archive.deliveries.event is 'GitHub''s X-GitHub-Event: workflow_job or workflow_run.';
comment on column archive.deliveries.action is 'GitHub''s action in the payload, such as completed; null where it has none.';
comment on column archive.deliveries.repository_id is 'GitHub''s id of the repository.';
comment on column archive.deliveries.body is 'The payload as it was received, while it waits; null unless outcome is stored.';
comment on column archive.deliveries.problem is 'Why it could not be written into the ledger at once; null when it could.';
comment on column archive.deliveries.asked_at is 'When GitHub was last asked to send it again; null when it was not.';
comment on column archive.deliveries.received_at is 'When it arrived, by the database''s clock; null while it is missed.';
comment on column archive.deliveries.first_seen_at is 'When it arrived or was found among those that GitHub could not deliver, by the database''s clock.';

comment on column archive.full_seconds.repository_id is 'GitHub''s id of the repository.';
comment on column archive.full_seconds.second_start is 'The second, by the runs'' created_at.';
comment on column archive.full_seconds.seen_at is 'When it was found, by the database''s clock.';

comment on column archive.identity.singleton is 'Always true: there is one row.';
comment on column archive.identity.archive_id is 'The random id of the archive, as in archive.json.';
comment on column archive.identity.created_at is 'When the archive claimed this database, by the database''s clock.';

comment on column archive.jobs.job_id is 'GitHub''s id of the job.';
comment on column archive.jobs.repository_id is 'GitHub''s id of the repository.';
comment on column archive.jobs.run_id is 'GitHub''s id of the run.';
comment on column archive.jobs.run_attempt is 'The attempt that ran the job: the smallest that listed its id.';
comment on column archive.jobs.last_listed_attempt is 'The largest attempt that listed its id.';
comment on column archive.jobs.workflow_name is 'GitHub''s workflow_name; null where the job object lacks it.';
comment on column archive.jobs.job_name is 'GitHub''s name of the job; null where the job object lacks it.';
comment on column archive.jobs.head_branch is 'GitHub''s head_branch: the branch or tag. Null where the job object lacks it.';
comment on column archive.jobs.head_sha is 'GitHub''s head_sha: the commit. Null where the job object lacks it.';
comment on column archive.jobs.status is 'GitHub''s status, completed when the job is over; null where the job object lacks it.';
comment on column archive.jobs.conclusion is 'GitHub''s conclusion; null until the job is over.';
comment on column archive.jobs.runner_id is 'GitHub''s id of the runner; null or 0 when the job had none.';
comment on column archive.jobs.runner_name is 'GitHub''s name of the runner; null or empty when the job had none.';
comment on column archive.jobs.runner_group_id is 'GitHub''s id of the runner''s group; null or 0 when the job had no runner.';
comment on column archive.jobs.runner_group_name is 'GitHub''s name of the runner''s group; null or empty when the job had no runner.';
comment on column archive.jobs.labels is 'The labels that the job asked for, as GitHub gives them; empty where the job object lacks them.';
comment on column archive.jobs.html_url is 'The job''s page at GitHub; null where the job object lacks it.';
comment on column archive.jobs.created_at is 'GitHub''s created_at; null in objects of old GHES releases.';
comment on column archive.jobs.started_at is 'GitHub''s started_at; null where the job object lacks it.';
comment on column archive.jobs.completed_at is 'GitHub''s completed_at, which can be before started_at; null until the job is over.';
comment on column archive.jobs.loaded_at is 'When this row was last written, by the database''s clock.';

comment on column archive.logs.job_id is 'GitHub''s id of the job.';
comment on column archive.logs.log_state is 'archived or absent, by the record in force.';
comment on column archive.logs.log_reason is 'Why there is no log; null when it is archived.';
comment on column archive.logs.log_flags is 'Doubts about an archived log; empty when there is none.';
comment on column archive.logs.copied_from_job_id is 'The job of an earlier attempt whose log this is; null unless the reason is copied.';
comment on column archive.logs.log_key is 'The log''s object in the store, relative to the prefix; null when the log is absent.';
comment on column archive.logs.log_version_id is 'The object''s version; null when the log is absent, or the store has no versions.';
comment on column archive.logs.raw_bytes is 'Size of the log as GitHub sent it, in bytes; null when it is absent.';
comment on column archive.logs.raw_sha256 is 'SHA-256 of the log as GitHub sent it, lower-case hex; null when it is absent.';
comment on column archive.logs.stored_bytes is 'Size of the object, compressed, in bytes; null when the log is absent.';
comment on column archive.logs.stored_sha256 is 'SHA-256 of the object, lower-case hex; null when the log is absent.';
comment on column archive.logs.lines is 'Lines of the raw log; null when it is absent.';
comment on column archive.logs.first_line_at is 'The time of the first line that has one; null when none has, or the log is absent.';
comment on column archive.logs.last_line_at is 'The time of the last line that has one; null when none has, or the log is absent.';
comment on column archive.logs.archived_at is 'When the log was stored, by the log-worker''s clock; null when it is absent.';
comment on column archive.logs.record_key is 'The record in force, in the store, relative to the prefix.';
comment on column archive.logs.record_version is 'Its version, from 1: the highest of the job is in force.';
comment on column archive.logs.record_sha256 is 'SHA-256 of the record''s bytes, lower-case hex.';

comment on column archive.logs_in_flight.job_id is 'GitHub''s id of the job.';
comment on column archive.logs_in_flight.worker is 'The process that works on the log now; what another process finds here has died with its work. Null when none does.';
comment on column archive.logs_in_flight.raw_sha256 is 'Of the log as it was read, lower-case hex: what its record will say, before it is loaded. Null until it is read.';
comment on column archive.logs_in_flight.raw_bytes is 'Size of the log as it was read, in bytes; null until it is read.';

comment on column archive.obligations.job_id is 'GitHub''s id of the job.';
comment on column archive.obligations.repository_id is 'GitHub''s id of the repository.';
comment on column archive.obligations.run_id is 'GitHub''s id of the run.';
comment on column archive.obligations.last_listed_attempt is 'The largest attempt that listed this id.';
comment on column archive.obligations.job_name is 'GitHub''s name of the job; null where the job object lacks it.';
comment on column archive.obligations.runner_name is 'GitHub''s name of the runner; null when the job had none.';
comment on column archive.obligations.conclusion is 'GitHub''s conclusion; null where the job object lacks it.';
comment on column archive.obligations.started_at is 'GitHub''s started_at; null where the job object lacks it.';
comment on column archive.obligations.completed_at is 'GitHub''s completed_at; null where the job object lacks it.';
comment on column archive.obligations.object_source is 'How the object came: listing, webhook, or get (asked for by its id).';
comment on column archive.obligations.object_received_at is 'When the object came.';
comment on column archive.obligations.log_state is 'pending, archived, absent or failed.';
comment on column archive.obligations.log_reason is 'Why the log is absent or failed; null when it is archived, or pending without a failure.';
comment on column archive.obligations.log_detail is 'What happened the last time, in words for an operator; never a signed link. Null when nothing went wrong.';
comment on column archive.obligations.tries is 'How often the log was asked for in vain.';
comment on column archive.obligations.expires_at is 'When GitHub''s retention removes the log, as far as we know; null when we do not.';
comment on column archive.obligations.record_key is 'The job''s record in the store, relative to the prefix; null until the log is archived or absent.';
comment on column archive.obligations.unsettled_at is 'When the log was first read without its end; the next reading is stored as it is. Null when it had one.';
comment on column archive.obligations.relook_at is 'When a log that looks deleted is looked at once more, before its expiry; null when it is not.';
comment on column archive.obligations.decided_at is 'When the log was last found archived, absent or failed, by the database''s clock; null before that.';
comment on column archive.obligations.first_seen_at is 'When this archive first saw the job completed, by the database''s clock.';

comment on column archive.repositories.repository_id is 'GitHub''s id of the repository.';
comment on column archive.repositories.is_private is 'GitHub''s private, at the last look; null where it was not told.';
comment on column archive.repositories.archive_since is 'Runs created earlier are not asked for; null until the first look has ended.';
comment on column archive.repositories.rescanned_at is 'When the last 30 days were last compared for re-runs; null before the first time.';
comment on column archive.repositories.youngest_gone_seconds is 'The youngest age, in seconds, at which a log here answered 410: how long logs are kept where the endpoint does not say. Null when none did.';
comment on column archive.repositories.polled_at is 'When its runs were last listed, by the database''s clock; null before the first time.';
comment on column archive.repositories.poll_due_at is 'When its runs are listed next, by the database''s clock.';
comment on column archive.repositories.problem_since is 'When that problem began; null without one.';
comment on column archive.repositories.lease_holder is 'The worker that holds it now; null when none does.';
comment on column archive.repositories.leased_until is 'One poll at a time: the holder''s lease, by the database''s clock. Null without a holder.';
comment on column archive.repositories.first_seen_at is 'When this archive first saw it, by the database''s clock.';
comment on column archive.repositories.runs_etag is 'ETag of the first page of the run list, as of the last poll that listed everything; null without one.';
comment on column archive.repositories.runs_etag_credential is 'The credential that the ETag was given to: it holds for no other. Null without an ETag.';
comment on column archive.repositories.credential is 'Whose budget pays for it, as of its last poll; null before the first.';
comment on column archive.repositories.named_at is 'When full_name last changed: an older webhook does not bring an old name back. Null when it never did.';

comment on column archive.runs.run_id is 'GitHub''s id of the run.';
comment on column archive.runs.repository_id is 'GitHub''s id of the repository.';
comment on column archive.runs.run_number is 'GitHub''s number of the run in its workflow; null where the run object lacks it.';
comment on column archive.runs.workflow_id is 'GitHub''s id of the workflow; null where the run object lacks it.';
comment on column archive.runs.workflow_name is 'GitHub''s name of the run, which is its workflow''s unless that sets another; null where the run object lacks it.';
comment on column archive.runs.path is 'The workflow''s file; null where the run object lacks it.';
comment on column archive.runs.event is 'What triggered the run; null where the run object lacks it.';
comment on column archive.runs.actor is 'Login of who triggered the run; null where the account is gone.';
comment on column archive.runs.triggering_actor is 'Login of who triggered the newest attempt; null where the account is gone.';
comment on column archive.runs.head_branch is 'The branch or tag; null where the run has none.';
comment on column archive.runs.head_sha is 'The commit; null where the run object lacks it.';
comment on column archive.runs.status is 'GitHub''s status of the newest attempt; null where the run object lacks it.';
comment on column archive.runs.conclusion is 'GitHub''s conclusion of the newest attempt; null until it has one.';
comment on column archive.runs.created_at is 'GitHub''s created_at, which re-runs do not change.';
comment on column archive.runs.run_started_at is 'GitHub''s start of the newest attempt; null where the run object lacks it.';
comment on column archive.runs.updated_at is 'GitHub''s updated_at; null where the run object lacks it.';
comment on column archive.runs.first_seen_at is 'When this archive first saw it, by the database''s clock.';

comment on column archive.steps.job_id is 'GitHub''s id of the job.';
comment on column archive.steps.step_number is 'GitHub''s number of the step; numbers have gaps.';
comment on column archive.steps.step_name is 'GitHub''s name of the step; null where the job object lacks it.';
comment on column archive.steps.status is 'GitHub''s status of the step; null where the job object lacks it.';
comment on column archive.steps.conclusion is 'GitHub''s conclusion of the step; null until it has one.';
comment on column archive.steps.started_at is 'GitHub''s started_at; null when the step did not start.';
comment on column archive.steps.completed_at is 'GitHub''s completed_at, which can be before started_at; null when the step did not end.';

comment on column archive.unreadable_repositories.name is 'The entry as the setting has it.';
comment on column archive.unreadable_repositories.problem is 'What GitHub answered, in words for an operator.';
comment on column archive.unreadable_repositories.since is 'When it was first found unreadable, by the database''s clock.';

comment on column archive.windows.repository_id is 'GitHub''s id of the repository.';
comment on column archive.windows.window_start is 'Runs created at this instant or later.';
comment on column archive.windows.window_end is 'Runs created before this instant.';
comment on column archive.windows.scanned_at is 'When the span was last listed or extended, by the database''s clock.';
