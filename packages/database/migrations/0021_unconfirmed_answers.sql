-- A single answer of GitHub closes nothing: what a first one says is kept until a second one agrees or contradicts.
alter table archive.obligations
  add column unconfirmed_answer text,
  add column unconfirmed_at timestamptz,
  add constraint obligations_unconfirmed_check check ((unconfirmed_answer is null) = (unconfirmed_at is null));

comment on column archive.obligations.unconfirmed_answer is 'The last answer to a request for the log that a second one must confirm: gone (410), not_found (404), empty (zero bytes), or sha256: and the hash of a body in which no line has a timestamp. Null when there is none.';
comment on column archive.obligations.unconfirmed_at is 'When that answer came first, by GitHub''s clock; the same answers after it leave it as it is. Null when there is none.';
comment on column archive.obligations.unsettled_at is 'When the log was first read without its end; the next reading is stored as it is. Null when it had one.';
comment on column archive.obligations.relook_at is 'When a log that is deleted, empty or without timestamps is requested again: an hour and a day after that was decided, and an absent one two days before its expiry. Also when a damaged log is to be repaired. Null when it is not.';

-- What a single 410 taught is not kept.
update archive.repositories set youngest_gone_seconds = null where youngest_gone_seconds is not null;

alter table archive.repositories
  add column gone_seconds bigint,
  add column gone_job_id bigint;

comment on column archive.repositories.youngest_gone_seconds is 'The youngest age, in seconds, at which the logs of two different jobs here answered 410, each confirmed a day later: how long logs are kept where the endpoint does not say. Null until there are two.';
comment on column archive.repositories.gone_seconds is 'The youngest age, in seconds, at which the log of one job here answered 410, confirmed a day later; a second job must agree before it counts. Null when none did.';
comment on column archive.repositories.gone_job_id is 'The job of gone_seconds; null when there is none.';
