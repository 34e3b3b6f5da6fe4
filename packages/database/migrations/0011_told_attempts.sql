-- What webhooks tell needs no visit before its time.
alter table archive.attempts add column told_at timestamptz;
comment on column archive.attempts.told_at is 'When a webhook last told of it: for an hour it is not visited because the run list changed.';
