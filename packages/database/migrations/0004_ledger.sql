-- The ledger: what was found at GitHub, and what is still owed. Written by the fetcher and the log-worker. An attempt or a span of runs
-- stays open until an answer shows all of it, and no single answer of GitHub closes anything for good.

create table archive.runs (
  run_id bigint primary key,
  repository_id bigint not null references archive.repositories,
  backfill_id bigint references archive.backfills,
  run_number bigint,
  run_attempt integer not null,
  workflow_id bigint,
  workflow_name text,
  path text,
  event text,
  actor text,
  triggering_actor text,
  head_branch text,
  head_sha text,
  status text,
  conclusion text,
  created_at timestamptz not null,
  run_started_at timestamptz,
  updated_at timestamptz,
  first_seen_at timestamptz not null default now()
);
create index runs_coverage_idx on archive.runs (repository_id, created_at) include (run_id);
comment on table archive.runs is 'Workflow runs, as their newest attempt shows them.';
comment on column archive.runs.run_id is 'GitHub''s id of the run.';
comment on column archive.runs.repository_id is 'GitHub''s id of the repository.';
comment on column archive.runs.backfill_id is 'The backfill that found it; null when a poll or a webhook was first.';
comment on column archive.runs.run_number is 'GitHub''s number of the run in its workflow; null where the run object lacks it.';
comment on column archive.runs.run_attempt is 'The newest attempt seen.';
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

-- No foreign key to archive.runs: its check, row by row, takes a third of the time of a removal, and both are written and removed
-- together. The same holds for archive.log_leases.
create table archive.attempts (
  run_id bigint not null,
  run_attempt integer not null check (run_attempt > 0),
  repository_id bigint not null references archive.repositories,
  state text not null default 'open' check (state in ('open', 'listed', 'gone', 'never_completed')),
  status text,
  conclusion text,
  object json,
  run_updated_at timestamptz,
  actor text,
  triggering_actor text,
  pull_request_numbers bigint[],
  head_repository text,
  webhook_at timestamptz,
  checks integer not null default 0,
  check_due_at timestamptz not null default now(),
  check_reason text check (
    check_reason in ('settling', 'lagging', 'incomplete', 'empty', 'unusable', 'list_not_found', 'run_not_found', 'unreadable')
  ),
  check_detail text,
  check_failures integer not null default 0,
  same_reason_checks integer not null default 0,
  same_reason_since timestamptz,
  incomplete_since timestamptz,
  listed_at timestamptz,
  listed_jobs integer,
  missing_job_ids bigint[] not null default '{}',
  jobs_etag text,
  confirm_due_at timestamptz,
  record_key text,
  sealed_in bigint,
  first_seen_at timestamptz not null default now(),
  primary key (run_id, run_attempt)
);
create index attempts_check_due_at_idx on archive.attempts (repository_id, check_due_at) where state = 'open';
create index attempts_unrecorded_idx on archive.attempts (run_id) where state = 'listed' and record_key is null;
create index attempts_closed_idx on archive.attempts (run_id) where state in ('gone', 'never_completed');
-- Coverage and gaps are counted from narrow indexes, repository by repository, without reading the objects.
create index attempts_coverage_idx on archive.attempts (repository_id, run_id) include (state);
create index attempts_unsealed_idx on archive.attempts (run_id, run_attempt) where sealed_in is null;
create index attempts_missing_jobs_idx on archive.attempts (run_id) where missing_job_ids <> '{}';
create index attempts_confirm_due_idx on archive.attempts (repository_id, confirm_due_at) where confirm_due_at is not null;
comment on table archive.attempts is 'Attempts of runs. Open: jobs may still come. Listed: its jobs were listed after it completed. Gone: it vanished before that.';
comment on column archive.attempts.run_id is 'GitHub''s id of the run.';
comment on column archive.attempts.run_attempt is 'GitHub''s number of the attempt, from 1.';
comment on column archive.attempts.repository_id is 'GitHub''s id of the repository.';
comment on column archive.attempts.state is 'Our decision: open, listed, gone (its run answered 404 for a day), or never_completed (closed at 35 days). Whatever shows the run again reopens it.';
comment on column archive.attempts.status is 'GitHub''s status of the attempt; null where it was never seen by itself.';
comment on column archive.attempts.conclusion is 'GitHub''s conclusion of the attempt; null until it has one.';
comment on column archive.attempts.object is 'The run as GitHub showed this attempt, as received; null where only a later attempt was seen.';
comment on column archive.attempts.run_updated_at is 'GitHub''s updated_at of that object: an older one does not replace it. Null without an object.';
comment on column archive.attempts.actor is 'Login of who triggered the run, by the object of this attempt; null where that lacks it, and until the attempt itself was seen.';
comment on column archive.attempts.triggering_actor is 'Login of who triggered this attempt, by its own object; null where that lacks it, and until the attempt itself was seen.';
comment on column archive.attempts.pull_request_numbers is 'Numbers of the open pull requests that GitHub names in the object of this attempt; null where that lacks them, and until the attempt itself was seen.';
comment on column archive.attempts.head_repository is 'owner/name of the repository that the commit is from, a fork or the repository itself; null where the object lacks it, as after a fork was deleted, and until the attempt itself was seen.';
comment on column archive.attempts.webhook_at is 'Last webhook about the attempt: for an hour, a changed run list causes no check. Null if there was none.';
comment on column archive.attempts.checks is 'Checks while it was open.';
comment on column archive.attempts.check_due_at is 'When an open attempt is checked again.';
comment on column archive.attempts.check_reason is 'Why the last check of an open attempt did not close it: settling (its run completed moments ago, it is listed once more), lagging (a job is not completed although the run is), incomplete (fewer jobs than GitHub promised), empty (no job at all), unusable (a job object that cannot be used), list_not_found (404 for its jobs, while the run answers), run_not_found (404 for the run), unreadable (another error). Null while its run goes on.';
comment on column archive.attempts.check_detail is 'What the last check found, in words for people; null when there is nothing to say.';
comment on column archive.attempts.check_failures is 'How many checks in a row ended with such a reason, settling aside.';
comment on column archive.attempts.same_reason_checks is 'How many checks in a row ended with this check_reason.';
comment on column archive.attempts.same_reason_since is 'When the first of those was, by the database''s clock; null without one.';
comment on column archive.attempts.incomplete_since is 'When the attempt became a gap of kind list_incomplete, by the database''s clock; null while its list is read again soon.';
comment on column archive.attempts.listed_at is 'When its final list of jobs was read, by the database''s clock; null before that.';
comment on column archive.attempts.listed_jobs is 'How many jobs that list had; null before it was read.';
comment on column archive.attempts.missing_job_ids is 'Jobs that its final listing showed and that had not completed. One that completes later is in archive.log_jobs, too.';
comment on column archive.attempts.jobs_etag is 'GitHub''s ETag of the list of jobs that closed the attempt: while it holds, listing the jobs again costs nothing of the limit. Null when there is none.';
comment on column archive.attempts.confirm_due_at is 'When the jobs of the listed attempt are listed once more, a day after the list that closed it, by the database''s clock. Null when they are not.';
comment on column archive.attempts.record_key is 'Its run record in the store, relative to the prefix; null until it is written.';
comment on column archive.attempts.sealed_in is 'Sequence of the seal that carries its state; null while that waits for one.';
comment on column archive.attempts.first_seen_at is 'When this archive first saw it, by the database''s clock.';

-- All job objects that differ are kept, not only the most complete one. The rows for auditors are made from all of them, so that the
-- order in which they arrived makes no difference.
create table archive.log_jobs (
  job_id bigint primary key,
  repository_id bigint not null references archive.repositories,
  run_id bigint not null,
  run_attempt integer not null,
  last_listed_attempt integer not null,
  backfill_id bigint,
  job_name text,
  runner_name text,
  conclusion text,
  started_at timestamptz,
  completed_at timestamptz,
  object json not null,
  object_source text not null check (object_source in ('listing', 'webhook', 'get')),
  object_steps integer not null default 0,
  object_received_at timestamptz not null,
  contents bigint[] not null default '{}',
  other_objects json[] not null default '{}',
  log_state text not null default 'pending' check (log_state in ('pending', 'archived', 'absent', 'failed')),
  log_reason text,
  log_detail text,
  tries integer not null default 0,
  due_at timestamptz not null default now(),
  expires_at timestamptz,
  unconfirmed_answer text,
  unconfirmed_at timestamptz,
  incomplete_read_at timestamptz,
  recheck_at timestamptz,
  decided_at timestamptz,
  record_key text,
  rows_loaded_at timestamptz,
  extraction_version integer not null default 0,
  recorded_steps integer,
  reread_tries integer not null default 0,
  reread_due_at timestamptz,
  reread_problem text,
  first_seen_at timestamptz not null default now(),
  constraint log_jobs_unconfirmed_check check ((unconfirmed_answer is null) = (unconfirmed_at is null))
);
create index log_jobs_unloaded_idx on archive.log_jobs (job_id) where rows_loaded_at is null;
create index log_jobs_run_id_idx on archive.log_jobs (run_id, run_attempt);
create index log_jobs_unrecorded_idx on archive.log_jobs (run_id) where log_state in ('archived', 'absent') and record_key is null;
-- One narrow index per lane of the feeder: due logs are found without a walk over the backlog.
create index log_jobs_live_idx on archive.log_jobs (repository_id, completed_at desc nulls last)
  where log_state = 'pending' and backfill_id is null;
create index log_jobs_expiring_idx on archive.log_jobs (repository_id, expires_at) where log_state = 'pending';
create index log_jobs_failed_idx on archive.log_jobs (repository_id, due_at) where log_state = 'failed';
create index log_jobs_recheck_idx on archive.log_jobs (repository_id, recheck_at) where recheck_at is not null;
create index log_jobs_expires_at_idx on archive.log_jobs (expires_at);
-- Coverage, as for archive.attempts.
create index log_jobs_coverage_idx on archive.log_jobs (repository_id, run_id) include (log_state, log_reason, rows_loaded_at);
create index log_jobs_extraction_version_idx on archive.log_jobs (extraction_version) where log_state = 'archived';
create index log_jobs_fuller_object_idx on archive.log_jobs (job_id) where log_state = 'archived' and object_steps > recorded_steps;
comment on table archive.log_jobs is 'One row for each completed job: its object as received, and what is owed for its log.';
comment on column archive.log_jobs.job_id is 'GitHub''s id of the job.';
comment on column archive.log_jobs.repository_id is 'GitHub''s id of the repository.';
comment on column archive.log_jobs.run_id is 'GitHub''s id of the run.';
comment on column archive.log_jobs.run_attempt is 'The smallest attempt that listed this id: the one that ran the job.';
comment on column archive.log_jobs.last_listed_attempt is 'The largest attempt that listed this id.';
comment on column archive.log_jobs.backfill_id is 'The backfill whose run it belongs to: fed after live jobs, by expiry. Null: live.';
comment on column archive.log_jobs.job_name is 'GitHub''s name of the job; null where the job object lacks it.';
comment on column archive.log_jobs.runner_name is 'GitHub''s name of the runner; null when the job had none.';
comment on column archive.log_jobs.conclusion is 'GitHub''s conclusion; null where the job object lacks it.';
comment on column archive.log_jobs.started_at is 'GitHub''s started_at; null where the job object lacks it.';
comment on column archive.log_jobs.completed_at is 'GitHub''s completed_at; null where the job object lacks it.';
comment on column archive.log_jobs.object is 'The job object as received; json, since jsonb refuses NUL.';
comment on column archive.log_jobs.object_source is 'Source of the object: listing, webhook, or get (requested by its id).';
comment on column archive.log_jobs.object_steps is 'How much the object says of its steps: how many there are, how many are completed, and how many of their conclusions and times are known, counted together. One with more replaces one with fewer.';
comment on column archive.log_jobs.object_received_at is 'When the object came.';
comment on column archive.log_jobs.contents is 'Hashes of the facts about the job and each step in the objects received so far; an object with a new hash has new facts.';
comment on column archive.log_jobs.other_objects is 'Objects of this job that were received and say something else than object does: a webhook''s, with steps that had not ended.';
comment on column archive.log_jobs.log_state is 'pending, archived, absent or failed.';
comment on column archive.log_jobs.log_reason is 'Why the log is absent or failed; null when it is archived, or pending without a failure.';
comment on column archive.log_jobs.log_detail is 'What happened the last time, in words for an operator; never a signed link. Null when nothing went wrong.';
comment on column archive.log_jobs.tries is 'Failed requests of the log.';
comment on column archive.log_jobs.due_at is 'When a pending or failed log is requested next, by the database''s clock.';
comment on column archive.log_jobs.expires_at is 'When GitHub''s retention removes the log, as far as we know; null when we do not.';
comment on column archive.log_jobs.unconfirmed_answer is 'The last answer to a request for the log that a second one must confirm: gone (410), not_found (404), empty (zero bytes), or sha256: and the hash of a body in which no line has a timestamp. Null when there is none.';
comment on column archive.log_jobs.unconfirmed_at is 'When that answer came first, by GitHub''s clock; the same answers after it leave it as it is. Null when there is none.';
comment on column archive.log_jobs.incomplete_read_at is 'When the log was first read without its end; the next reading is stored as it is. Null when it had one.';
comment on column archive.log_jobs.recheck_at is 'When a log that is deleted, empty or without timestamps is requested again: an hour and a day after that was decided, and an absent one two days before its expiry. Also when a damaged log is to be repaired. Null when it is not.';
comment on column archive.log_jobs.decided_at is 'When the log was last found archived, absent or failed, by the database''s clock; null before that.';
comment on column archive.log_jobs.record_key is 'The job''s record in the store, relative to the prefix; null until the log is archived or absent.';
comment on column archive.log_jobs.rows_loaded_at is 'When the job''s rows were last loaded; null while they are owed.';
comment on column archive.log_jobs.extraction_version is 'That of archive.logs, 0 for null: below the program''s own, an archived log is read again.';
comment on column archive.log_jobs.recorded_steps is 'object_steps of archive.logs: below this row''s own object_steps, an archived log is read again. Null until a record is loaded.';
comment on column archive.log_jobs.reread_tries is 'How many readings of the archived log began since the last one that ended well.';
comment on column archive.log_jobs.reread_due_at is 'Before this instant no loader reads the archived log again: the last reading did not end well. Null when it did.';
comment on column archive.log_jobs.reread_problem is 'Why the last reading of the archived log did not end well; null when it did, or when its process died.';
comment on column archive.log_jobs.first_seen_at is 'When this archive first saw the job completed, by the database''s clock.';

create table archive.log_leases (
  job_id bigint primary key,
  worker text,
  leased_until timestamptz,
  crashes integer not null default 0 check (crashes >= 0),
  raw_sha256 text,
  raw_bytes bigint
);
create index log_leases_raw_sha256_idx on archive.log_leases (raw_sha256) where raw_sha256 is not null;
comment on table archive.log_leases is 'Logs that a worker began with, until their record is loaded.';
comment on column archive.log_leases.job_id is 'GitHub''s id of the job.';
comment on column archive.log_leases.worker is 'Process that works on the log; null if there is none. A process that finds an expired lease counts a crash.';
comment on column archive.log_leases.leased_until is 'Until when the worker has the log for itself unless it says so again, by the database''s clock. Null without a worker.';
comment on column archive.log_leases.crashes is 'How many workers died while they worked on this log.';
comment on column archive.log_leases.raw_sha256 is 'Of the log as it was read, lower-case hex: what its record will say, before it is loaded. Null until it is read.';
comment on column archive.log_leases.raw_bytes is 'Size of the log as it was read, in bytes; null until it is read.';

-- Rows are only ever added.
create table archive.retries (
  retry_id bigint generated always as identity primary key,
  job_id bigint not null,
  repository_id bigint not null,
  failed_for text,
  reason text,
  by text,
  os_user text,
  database_user text default session_user,
  retried_at timestamptz not null default now(),
  sealed_in bigint
);
create index retries_job_id_idx on archive.retries (job_id);
create index retries_unsealed_idx on archive.retries (retry_id) where sealed_in is null;
comment on table archive.retries is 'Failed logs that an operator made due at once with the retry command.';
comment on column archive.retries.retry_id is 'In the order of the retries.';
comment on column archive.retries.job_id is 'GitHub''s id of the job.';
comment on column archive.retries.repository_id is 'GitHub''s id of the repository.';
comment on column archive.retries.failed_for is 'The log_reason that it had until then; null where it had none.';
comment on column archive.retries.reason is 'In the operator''s words; null where none was given.';
comment on column archive.retries.by is 'Who did it, as --by names them, or the operating system''s login; loader for what a policy removes. Null where it was not recorded.';
comment on column archive.retries.os_user is 'Login of the operating system''s user whose process did it, or the user''s number where it has no name. Null where it was not recorded.';
comment on column archive.retries.database_user is 'Login (session_user) of the database connection that did it. Null where it was not recorded.';
comment on column archive.retries.retried_at is 'When, by the database''s clock.';
comment on column archive.retries.sealed_in is 'Sequence of the seal that carries it; null while it waits for one.';
