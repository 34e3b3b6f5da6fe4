-- One budget for all processes: what each credential has used, what runs on it, and the clocks of the API hosts. archive.request_budget
-- decides what may start.

create table archive.credentials (
  credential text primary key,
  limit_per_hour integer,
  used integer not null default 0,
  unread integer not null default 0,
  unread_at timestamptz,
  reset_at timestamptz,
  reset_seconds bigint,
  observed_at timestamptz,
  starts integer[] not null default array_fill(0, array[63]),
  starts_second bigint not null default 0,
  hour_started_at timestamptz,
  hour_requests integer not null default 0,
  paused_until timestamptz,
  pause_reason text,
  guessed_until timestamptz,
  guesses integer not null default 0
);
comment on table archive.credentials is 'What each GitHub credential may still ask, shared by all workers. Holds names of credentials, never secrets.';
comment on column archive.credentials.credential is 'Its name: token, app-ID or installation-ID. Never the secret.';
comment on column archive.credentials.limit_per_hour is 'GitHub''s primary limit in requests an hour, by the last answer with a limit, valid until reset_at; null before the first.';
comment on column archive.credentials.used is 'Requests of the current window by GitHub''s count, others'' included.';
comment on column archive.credentials.unread is 'Requests that ended without an answer''s count: in none, until an answer to a request that began after unread_at.';
comment on column archive.credentials.unread_at is 'When the last of the unread ended; null when there was none.';
comment on column archive.credentials.reset_at is 'End of the window, by the database''s clock; null before the first answer with a limit.';
comment on column archive.credentials.reset_seconds is 'The same as reset_at by GitHub''s clock, in seconds since 1970, as in its header: it distinguishes one window from the next. Null before the first answer with a limit.';
comment on column archive.credentials.observed_at is 'Time of the last answer with a limit, by the database''s clock; null before the first.';
comment on column archive.credentials.starts is 'How many requests started in the second starts_second, and in each of the 62 before it, newest first.';
comment on column archive.credentials.starts_second is 'By the database''s clock, in seconds since 1970.';
comment on column archive.credentials.hour_started_at is 'The hour of our own count, for GITHUB_MAX_REQUESTS_PER_HOUR and for operators; null before the first request.';
comment on column archive.credentials.hour_requests is 'Our own requests of that hour that are over, answers that nothing had changed left out.';
comment on column archive.credentials.paused_until is 'When the last pause ends or ended, by the database''s clock; null when there was none.';
comment on column archive.credentials.pause_reason is 'Why it was paused, in words for an operator; null when it never was.';
comment on column archive.credentials.guessed_until is 'The end of the last pause whose length GitHub did not name; null when there was none.';
comment on column archive.credentials.guesses is 'How many such pauses came within an hour of each other: each is twice as long.';

create table archive.credential_holders (
  credential text not null references archive.credentials on delete cascade,
  holder uuid not null,
  requests integer not null check (requests >= 0),
  waiting integer not null default 0,
  leased_until timestamptz not null,
  primary key (credential, holder)
);
comment on table archive.credential_holders is 'How many requests each process runs on each credential. A row of a dead process lapses within a minute.';
comment on column archive.credential_holders.credential is 'The credential''s name.';
comment on column archive.credential_holders.holder is 'A random id of the process.';
comment on column archive.credential_holders.requests is 'How many requests the process runs on it now.';
comment on column archive.credential_holders.waiting is 'How many requests this process wanted to start at its last question and could not.';
comment on column archive.credential_holders.leased_until is 'When the row lapses unless it is renewed, by the database''s clock.';

create table archive.clock_skews (
  host text primary key,
  skew_seconds integer not null,
  since timestamptz not null,
  last_seen_at timestamptz not null,
  cleared_at timestamptz
);
comment on table archive.clock_skews is 'API hosts whose Date headers were refused, since they were over 5 minutes from the database''s clock.';
comment on column archive.clock_skews.host is 'The host of GITHUB_API_URL, with its port.';
comment on column archive.clock_skews.skew_seconds is 'By how much the last refused Date was ahead of the database''s clock; negative: behind.';
comment on column archive.clock_skews.since is 'When a Date was first refused, after the last one that was accepted.';
comment on column archive.clock_skews.last_seen_at is 'When a Date was last refused, to the minute.';
comment on column archive.clock_skews.cleared_at is 'When a Date was accepted again. Null while they are refused, and where the process that refused them has ended.';
