-- The archived repositories, which parts of their run lists were read, and webhook deliveries. Written by the fetcher.

create table archive.repositories (
  repository_id bigint primary key,
  full_name text not null,
  named_at timestamptz,
  name_seen_at timestamptz,
  is_private boolean,
  is_selected boolean not null default true,
  log_retention_days integer,
  youngest_gone_seconds bigint,
  gone_seconds bigint,
  gone_job_id bigint,
  archive_since timestamptz,
  rescanned_at timestamptz,
  polled_at timestamptz,
  poll_due_at timestamptz not null default now(),
  runs_etag text,
  runs_etag_credential text,
  credential text,
  problem text,
  problem_since timestamptz,
  lease_holder uuid,
  leased_until timestamptz,
  first_seen_at timestamptz not null default now()
);
create index repositories_poll_due_at_idx on archive.repositories (poll_due_at) where is_selected;
comment on table archive.repositories is 'Repositories that are archived, by GitHub''s id, which renames and transfers keep.';
comment on column archive.repositories.repository_id is 'GitHub''s id of the repository.';
comment on column archive.repositories.full_name is 'The current owner/name.';
comment on column archive.repositories.named_at is 'When the repository had its current name, as what reported it says: an older webhook does not bring an old name back. It decides nothing else. Null when the name never changed.';
comment on column archive.repositories.name_seen_at is 'When this archive first saw the current name, by the database''s clock; a policy that governs by it counts a week later. Null: the name under which the repository was found, which counts at once.';
comment on column archive.repositories.is_private is 'GitHub''s private at the last read; null if unknown.';
comment on column archive.repositories.is_selected is 'False once ARCHIVE_REPOSITORIES no longer names it; what was archived stays.';
comment on column archive.repositories.log_retention_days is 'How many days GitHub keeps logs, by its retention endpoint; null where it does not say.';
comment on column archive.repositories.youngest_gone_seconds is 'The youngest age, in seconds, at which the logs of two different jobs here answered 410, each confirmed a day later: how long logs are kept where the endpoint does not say. Null until there are two.';
comment on column archive.repositories.gone_seconds is 'The youngest age, in seconds, at which the log of one job here answered 410, confirmed a day later; a second job must agree before it counts. Null when none did.';
comment on column archive.repositories.gone_job_id is 'The job of gone_seconds; null when there is none.';
comment on column archive.repositories.archive_since is 'Earlier runs are not requested; null until the first scan has ended.';
comment on column archive.repositories.rescanned_at is 'When the last 30 days were last compared for re-runs; null before the first time.';
comment on column archive.repositories.polled_at is 'When its runs were last listed, by the database''s clock; null before the first time.';
comment on column archive.repositories.poll_due_at is 'When its runs are listed next, by the database''s clock.';
comment on column archive.repositories.runs_etag is 'ETag of the first page of the run list, as of the last poll that listed everything; null without one.';
comment on column archive.repositories.runs_etag_credential is 'The credential that the ETag was given to: it holds for no other. Null without an ETag.';
comment on column archive.repositories.credential is 'Whose budget pays for it, as of its last poll; null before the first.';
comment on column archive.repositories.problem is 'Why it could not be listed the last time; null when it could.';
comment on column archive.repositories.problem_since is 'When that problem began; null without one.';
comment on column archive.repositories.lease_holder is 'The worker that holds it now; null when none does.';
comment on column archive.repositories.leased_until is 'One poll at a time: the holder''s lease, by the database''s clock. Null without a holder.';
comment on column archive.repositories.first_seen_at is 'When this archive first saw it, by the database''s clock.';

create table archive.unreadable_repositories (
  name text primary key,
  problem text not null,
  since timestamptz not null default now()
);
comment on table archive.unreadable_repositories is 'Entries of ARCHIVE_REPOSITORIES that lead to no readable repository, as of the last look.';
comment on column archive.unreadable_repositories.name is 'The entry as the setting has it.';
comment on column archive.unreadable_repositories.problem is 'What GitHub answered, in words for an operator.';
comment on column archive.unreadable_repositories.since is 'When it was first found unreadable, by the database''s clock.';

create table archive.windows (
  repository_id bigint not null references archive.repositories,
  window_start timestamptz not null,
  window_end timestamptz not null,
  scanned_at timestamptz not null,
  sealed_in bigint,
  check (window_start < window_end),
  primary key (repository_id, window_start)
);
create index windows_unsealed_idx on archive.windows (repository_id) where sealed_in is null;
comment on table archive.windows is 'Spans of run created_at that were listed to their end; half-open, disjoint, extended in place.';
comment on column archive.windows.repository_id is 'GitHub''s id of the repository.';
comment on column archive.windows.window_start is 'Runs created at this instant or later.';
comment on column archive.windows.window_end is 'Runs created before this instant.';
comment on column archive.windows.scanned_at is 'When the span was last listed or extended, by the database''s clock.';
comment on column archive.windows.sealed_in is 'Sequence of the seal that carries it; null while it waits for one.';

create table archive.window_checks (
  repository_id bigint not null references archive.repositories,
  window_start timestamptz not null,
  window_end timestamptz not null,
  reason text not null check (reason in ('incomplete', 'unusable', 'second_listing')),
  promised_runs integer,
  shown_runs integer,
  tries integer not null default 1,
  due_at timestamptz not null,
  first_seen_at timestamptz not null default now(),
  incomplete_since timestamptz,
  check (window_start < window_end),
  primary key (repository_id, window_start, window_end)
);
comment on table archive.window_checks is 'Spans of run created_at that are to be listed again.';
comment on column archive.window_checks.repository_id is 'GitHub''s id of the repository.';
comment on column archive.window_checks.window_start is 'Runs created at this instant or later.';
comment on column archive.window_checks.window_end is 'Runs created before this instant.';
comment on column archive.window_checks.reason is 'incomplete: GitHub promised more runs than it showed, and the span is not covered. unusable: it is covered, but for a run that cannot be used. second_listing: it is covered by one listing, and too old for the regular scan for re-runs.';
comment on column archive.window_checks.promised_runs is 'total_count of the last listing; null where none was incomplete.';
comment on column archive.window_checks.shown_runs is 'How many distinct runs it showed; null where none was incomplete.';
comment on column archive.window_checks.tries is 'How often it was listed with this result.';
comment on column archive.window_checks.due_at is 'When it is listed again, by the database''s clock.';
comment on column archive.window_checks.first_seen_at is 'When it was first listed with this result, by the database''s clock.';
comment on column archive.window_checks.incomplete_since is 'When it became a gap of kind list_incomplete, by the database''s clock; null while it is read again soon.';

create table archive.full_seconds (
  repository_id bigint not null references archive.repositories,
  second_start timestamptz not null,
  seen_at timestamptz not null default now(),
  primary key (repository_id, second_start)
);
comment on table archive.full_seconds is 'Seconds in which GitHub lists 1,000 runs, its cap: there may be more that it does not show.';
comment on column archive.full_seconds.repository_id is 'GitHub''s id of the repository.';
comment on column archive.full_seconds.second_start is 'The second, by the runs'' created_at.';
comment on column archive.full_seconds.seen_at is 'When it was found, by the database''s clock.';

create table archive.unusable_objects (
  repository_id bigint not null references archive.repositories,
  kind text not null check (kind in ('run', 'job')),
  object_key text not null,
  run_id bigint,
  run_attempt integer,
  job_id bigint,
  placed_at timestamptz,
  object json not null,
  problem text not null,
  first_seen_at timestamptz not null default now(),
  last_seen_at timestamptz not null default now(),
  primary key (repository_id, kind, object_key)
);
comment on table archive.unusable_objects is 'Run and job objects of lists that the ledger cannot use: gaps until a later list shows them otherwise, or not at all.';
comment on column archive.unusable_objects.repository_id is 'GitHub''s id of the repository whose list showed it.';
comment on column archive.unusable_objects.kind is 'run or job.';
comment on column archive.unusable_objects.object_key is 'Its id where that is usable, else the SHA-256 of its JSON.';
comment on column archive.unusable_objects.run_id is 'Its run; null where the object''s id is unusable.';
comment on column archive.unusable_objects.run_attempt is 'The attempt whose list showed a job; null for a run.';
comment on column archive.unusable_objects.job_id is 'Its job id; null for a run, and where it is unusable.';
comment on column archive.unusable_objects.placed_at is 'A run''s created_at, or where that is unusable the one of its neighbour in the list: the day that it makes incomplete. Null for a job.';
comment on column archive.unusable_objects.object is 'The object as received.';
comment on column archive.unusable_objects.problem is 'What is wrong with it, in words for people.';
comment on column archive.unusable_objects.first_seen_at is 'When it was first listed, by the database''s clock.';
comment on column archive.unusable_objects.last_seen_at is 'When it was last listed, by the database''s clock.';

create table archive.deliveries (
  guid text primary key,
  event text not null,
  action text,
  repository_id bigint not null,
  outcome text not null check (outcome in ('missed', 'stored', 'recorded', 'ignored')),
  body bytea,
  problem text,
  tries integer not null default 0,
  redelivery_requests integer not null default 0,
  redelivery_requested_at timestamptz,
  received_at timestamptz,
  first_seen_at timestamptz not null default now(),
  check ((body is not null) = (outcome = 'stored')),
  check ((received_at is null) = (outcome = 'missed'))
);
create index deliveries_stored_idx on archive.deliveries (received_at) where outcome = 'stored';
create index deliveries_first_seen_at_idx on archive.deliveries (first_seen_at);
comment on table archive.deliveries is 'Webhook deliveries that concern archived repositories, kept for nine days. Polling finds the same without them.';
comment on column archive.deliveries.guid is 'GitHub''s X-GitHub-Delivery: the same for every redelivery.';
comment on column archive.deliveries.event is 'GitHub''s X-GitHub-Event: workflow_job or workflow_run.';
comment on column archive.deliveries.action is 'GitHub''s action in the payload, such as completed; null where it has none.';
comment on column archive.deliveries.repository_id is 'GitHub''s id of the repository.';
comment on column archive.deliveries.outcome is 'Missed: GitHub could not deliver it, and is asked to send it again. Stored: it waits to be written into the ledger. Recorded: it is. Ignored: it held nothing to write.';
comment on column archive.deliveries.body is 'The payload as it was received, while it waits; null unless outcome is stored.';
comment on column archive.deliveries.problem is 'Why it could not be written into the ledger at once; null when it could.';
comment on column archive.deliveries.tries is 'How often it failed to be written into the ledger.';
comment on column archive.deliveries.redelivery_requests is 'How often GitHub was asked to send it again.';
comment on column archive.deliveries.redelivery_requested_at is 'When GitHub was last asked to send it again; null when it was not.';
comment on column archive.deliveries.received_at is 'When it arrived, by the database''s clock; null while it is missed.';
comment on column archive.deliveries.first_seen_at is 'When it arrived or was found among those that GitHub could not deliver, by the database''s clock.';
