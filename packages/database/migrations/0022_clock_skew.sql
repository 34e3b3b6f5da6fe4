create function archive.clock() returns timestamptz
language sql volatile as $$ select clock_timestamp() $$;
comment on function archive.clock is 'The database''s clock, which the Date headers of GitHub''s answers are compared with. Tests that simulate time replace it.';

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
