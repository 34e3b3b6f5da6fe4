-- Webhooks: what was delivered, what still waits to be written into the ledger, what GitHub was asked to send again.
create table archive.deliveries (
  guid text primary key,
  event text not null,
  action text,
  repository_id bigint not null,
  outcome text not null check (outcome in ('missed', 'stored', 'recorded', 'ignored')),
  body bytea,
  problem text,
  tries integer not null default 0,
  asks integer not null default 0,
  asked_at timestamptz,
  received_at timestamptz,
  first_seen_at timestamptz not null default now(),
  check ((body is not null) = (outcome = 'stored')),
  check ((received_at is null) = (outcome = 'missed'))
);
create index deliveries_stored_idx on archive.deliveries (received_at) where outcome = 'stored';
create index deliveries_first_seen_at_idx on archive.deliveries (first_seen_at);
comment on table archive.deliveries is 'Webhook deliveries that concern archived repositories, kept for nine days. Polling finds the same without them.';
comment on column archive.deliveries.guid is 'GitHub''s X-GitHub-Delivery: the same for every redelivery.';
comment on column archive.deliveries.outcome is 'Missed: GitHub could not deliver it, and is asked to send it again. Stored: it waits to be written into the ledger. Recorded: it is. Ignored: it held nothing to write.';
comment on column archive.deliveries.body is 'The payload as it was received, while it waits.';
comment on column archive.deliveries.problem is 'Why it could not be written into the ledger at once.';
comment on column archive.deliveries.tries is 'How often it failed to be written into the ledger.';
comment on column archive.deliveries.asks is 'How often GitHub was asked to send it again.';

alter table archive.repositories add column named_at timestamptz;
comment on column archive.repositories.named_at is 'When full_name last changed: an older webhook does not bring an old name back.';

comment on column archive.obligations.object_steps is 'How complete the object is, its steps and its completed steps counted together: one with more replaces one with fewer.';
