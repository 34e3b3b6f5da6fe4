-- The rows that auditors query: a function of records, run records and the ledger's job objects. Written by the loader alone.
--
-- In partitions by job id, so that old rows are removed by dropping partitions (docs/decisions/0014-partitions.md). There are no foreign
-- keys between the tables: their checks, row by row, took a third of the loader's time. The loader writes parents first.

create table archive.jobs (
  job_id bigint primary key,
  repository_id bigint not null,
  run_id bigint not null,
  run_attempt integer not null,
  last_listed_attempt integer not null,
  workflow_name text,
  job_name text,
  head_branch text,
  head_sha text,
  status text,
  conclusion text,
  runner_id bigint,
  runner_name text,
  runner_group_id bigint,
  runner_group_name text,
  labels text[] not null default '{}',
  html_url text,
  created_at timestamptz,
  started_at timestamptz,
  completed_at timestamptz,
  loaded_at timestamptz not null default now()
) partition by range (job_id);
create index jobs_repository_id_completed_at_idx on archive.jobs (repository_id, completed_at);
-- Reports on the whole archive cover a span of time.
create index jobs_completed_at_idx on archive.jobs (completed_at);
create index jobs_run_id_idx on archive.jobs (run_id);
comment on table archive.jobs is 'Jobs of workflow runs, one row for each id that GitHub gave. In partitions by job_id, as are all tables of a job''s rows.';
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

create table archive.steps (
  job_id bigint not null,
  step_number integer not null,
  step_name text,
  status text,
  conclusion text,
  started_at timestamptz,
  completed_at timestamptz,
  primary key (job_id, step_number)
) partition by range (job_id);
comment on table archive.steps is 'Steps of jobs by GitHub''s own numbers, which have gaps.';
comment on column archive.steps.job_id is 'GitHub''s id of the job.';
comment on column archive.steps.step_number is 'GitHub''s number of the step; numbers have gaps.';
comment on column archive.steps.step_name is 'GitHub''s name of the step; null where the job object lacks it.';
comment on column archive.steps.status is 'GitHub''s status of the step; null where the job object lacks it.';
comment on column archive.steps.conclusion is 'GitHub''s conclusion of the step; null until it has one.';
comment on column archive.steps.started_at is 'GitHub''s started_at; null when the step did not start.';
comment on column archive.steps.completed_at is 'GitHub''s completed_at, which can be before started_at; null when the step did not end.';

create table archive.logs (
  job_id bigint primary key,
  log_state text not null check (log_state in ('archived', 'absent')),
  log_reason text,
  log_flags text[] not null default '{}',
  copied_from_job_id bigint,
  log_key text,
  log_version_id text,
  raw_bytes bigint,
  raw_sha256 text check (raw_sha256 ~ '^[0-9a-f]{64}$'),
  stored_bytes bigint,
  stored_sha256 text check (stored_sha256 ~ '^[0-9a-f]{64}$'),
  lines bigint,
  first_line_at timestamptz,
  last_line_at timestamptz,
  archived_at timestamptz,
  record_key text not null,
  record_version integer not null,
  record_sha256 text not null check (record_sha256 ~ '^[0-9a-f]{64}$'),
  extraction_version integer,
  object_steps integer,
  check ((log_state = 'archived') = (log_key is not null)),
  check ((log_state = 'absent') = (log_reason is not null))
) partition by range (job_id);
create index logs_raw_sha256_idx on archive.logs (raw_sha256);
comment on table archive.logs is 'How each job''s log ended, from its record in the store. A log that is pending or failed has no row.';
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
comment on column archive.logs.extraction_version is 'Version of the extraction that wrote the record in force; null where the record does not say, which counts as 0, and when the log is absent.';
comment on column archive.logs.object_steps is 'How much the job object of the record in force says of its steps, counted as in the ledger; null where the job object of the record is unusable.';

create table archive.sections (
  job_id bigint not null,
  step_number integer not null,
  first_line bigint not null,
  line_count bigint not null,
  raw_start bigint not null,
  raw_bytes bigint not null,
  primary key (job_id, step_number)
) partition by range (job_id);
comment on table archive.sections is 'The lines of a job''s log that belong to a step. Lines that no step owns for certain are in the record alone.';
comment on column archive.sections.job_id is 'GitHub''s id of the job.';
comment on column archive.sections.step_number is 'GitHub''s number of the step.';
comment on column archive.sections.first_line is 'From 1.';
comment on column archive.sections.line_count is 'Lines of the step, all after one another.';
comment on column archive.sections.raw_start is 'Offset of its first byte in the raw log.';
comment on column archive.sections.raw_bytes is 'Its size in the raw log, in bytes.';

-- Action names ignore case at GitHub. In collation C a prefix is a range, which an index answers through a view that is a security
-- barrier: `like` and `lower()` are not leakproof, `>=` and `<` are.
create table archive.action_uses (
  job_id bigint not null,
  position integer not null,
  step_number integer,
  action text not null,
  action_lower text collate "C" not null generated always as (lower(action collate "C")) stored,
  ref text,
  sha text collate "C",
  line_number bigint not null,
  used_at timestamptz,
  primary key (job_id, position)
) partition by range (job_id);
create index action_uses_action_lower_idx on archive.action_uses (action_lower);
create index action_uses_sha_idx on archive.action_uses (sha);
comment on table archive.action_uses is 'Actions, reusable workflows and images that a job''s runner got, by its own log.';
comment on column archive.action_uses.job_id is 'GitHub''s id of the job.';
comment on column archive.action_uses.position is 'Place in the record''s list, from 0.';
comment on column archive.action_uses.step_number is 'The step that ran it; null where unknown.';
comment on column archive.action_uses.action is 'owner/name, owner/name/path, or docker://image.';
comment on column archive.action_uses.action_lower is 'action in lower case (ASCII), as GitHub compares names.';
comment on column archive.action_uses.ref is 'The branch, tag or commit that the workflow names; an image''s tag or digest. Null where the log names none.';
comment on column archive.action_uses.sha is 'The commit that the runner got, lower-case hex; sha256:… of an image. Null where the log does not say, as in 2021 and before.';
comment on column archive.action_uses.line_number is 'The line of the log that says so, from 1.';
comment on column archive.action_uses.used_at is 'The time of that line; null where it has none.';

create table archive.annotations (
  job_id bigint not null,
  line_number bigint not null,
  step_number integer,
  level text not null check (level in ('error', 'warning', 'notice')),
  message text not null,
  primary key (job_id, line_number)
) partition by range (job_id);
comment on table archive.annotations is 'Lines of logs that the runner marks as errors, warnings and notices: the first and the last of a log.';
comment on column archive.annotations.job_id is 'GitHub''s id of the job.';
comment on column archive.annotations.line_number is 'From 1.';
comment on column archive.annotations.step_number is 'The step whose line it is; null where unknown.';
comment on column archive.annotations.level is 'error, warning or notice.';
comment on column archive.annotations.message is 'The message without its mark, with the lines below that have no time of their own, cut after 500 characters.';

create table archive.permissions (
  job_id bigint not null,
  scope text not null,
  access text not null,
  primary key (job_id, scope)
) partition by range (job_id);
comment on table archive.permissions is 'What the GITHUB_TOKEN of a job was allowed, by its log.';
comment on column archive.permissions.job_id is 'GitHub''s id of the job.';
comment on column archive.permissions.scope is 'In the log''s words: Contents, PullRequests, …';
comment on column archive.permissions.access is 'In the log''s words: read or write.';

create table archive.log_facts (
  job_id bigint primary key,
  action_uses_left_out integer check (action_uses_left_out >= 0),
  annotations_left_out integer check (annotations_left_out >= 0),
  permissions_left_out integer check (permissions_left_out >= 0),
  runner_version text,
  runner_name text,
  runner_group_name text,
  machine text,
  os text,
  image text,
  image_version text,
  region text,
  provisioner text,
  secret_source text,
  locked_actions boolean,
  cache_mode text
) partition by range (job_id);
comment on table archive.log_facts is 'Facts that occur once in a job''s log, and how many entries its lists lack. One row for each job whose record in force was made from the log.';
comment on column archive.log_facts.job_id is 'GitHub''s id of the job.';
comment on column archive.log_facts.action_uses_left_out is 'How many action uses the record''s cap left out; null where the log was not searched for them.';
comment on column archive.log_facts.annotations_left_out is 'How many annotations the record''s cap left out; null where the log was not searched for them.';
comment on column archive.log_facts.permissions_left_out is 'How many permissions the record left out; null where the log was not searched for them.';
comment on column archive.log_facts.runner_version is 'Version of actions/runner, by the log; null where the log does not say, as in all columns of the runner.';
comment on column archive.log_facts.runner_name is 'The runner''s name, by the log: self-hosted runners alone print it, else null.';
comment on column archive.log_facts.runner_group_name is 'The runner''s group, by the log: self-hosted runners alone print it, else null.';
comment on column archive.log_facts.machine is 'The machine''s host name, by the log: self-hosted runners alone print it, else null.';
comment on column archive.log_facts.os is 'The operating system in the log''s words, of GitHub-hosted runners; null where the log does not say.';
comment on column archive.log_facts.image is 'The runner image, of GitHub-hosted runners; null where the log does not say.';
comment on column archive.log_facts.image_version is 'The version of the runner image; null where the log does not say.';
comment on column archive.log_facts.region is 'The Azure region of a GitHub-hosted runner; null where the log does not say.';
comment on column archive.log_facts.provisioner is 'The version of what provisioned a GitHub-hosted runner; null where the log does not say.';
comment on column archive.log_facts.secret_source is 'Whose secrets the job got: Actions, Dependabot, or None, as for a fork; null where the log does not say.';
comment on column archive.log_facts.locked_actions is 'Whether the runner says that it used the action versions of the workflow''s lockfile; null where the log was not searched for it.';
comment on column archive.log_facts.cache_mode is 'What the job could do in the Actions cache: read, write, write-only or none; null where the log does not say.';
