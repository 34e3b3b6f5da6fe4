-- What auditors ask for. Written by the loader alone; a function of records, run records and the ledger's job objects.
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
);
create index jobs_repository_id_completed_at_idx on archive.jobs (repository_id, completed_at);
create index jobs_run_id_idx on archive.jobs (run_id);
comment on table archive.jobs is 'Jobs of workflow runs, one row for each id that GitHub gave.';

create table archive.steps (
  job_id bigint not null references archive.jobs,
  step_number integer not null,
  step_name text,
  status text,
  conclusion text,
  started_at timestamptz,
  completed_at timestamptz,
  primary key (job_id, step_number)
);
comment on table archive.steps is 'Steps of jobs by GitHub''s own numbers, which have gaps.';

create table archive.logs (
  job_id bigint primary key references archive.jobs,
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
  check ((log_state = 'archived') = (log_key is not null)),
  check ((log_state = 'absent') = (log_reason is not null))
);
create index logs_raw_sha256_idx on archive.logs (raw_sha256);
comment on table archive.logs is 'How each job''s log ended, from its record in the store. A log that is pending or failed has no row.';
