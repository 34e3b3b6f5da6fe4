create view audit.backfills as
select
  identity.host,
  null::bigint as repository_id,
  backfill_steps.backfill_id,
  backfill_steps.step,
  backfill_steps.asked_for,
  backfill_steps.repository_ids,
  backfill_steps.since,
  backfill_steps.until,
  backfill_steps.taken_at,
  backfill_steps.by,
  backfill_steps.os_user,
  backfill_steps.database_user,
  backfill_steps.reason,
  backfill_steps.sealed_in,
  backfill_steps.step_id
from archive.backfill_steps
cross join archive.identity;

comment on view audit.backfills is 'Steps of backfills that operators took: begin, pause, resume, cancel.';
comment on column audit.backfills.host is 'GitHub host.';
comment on column audit.backfills.repository_id is 'Always null: see repository_ids.';
comment on column audit.backfills.backfill_id is 'Number of the backfill.';
comment on column audit.backfills.step is 'begin, pause, resume or cancel.';
comment on column audit.backfills.asked_for is 'Repositories and patterns as the operator wrote them.';
comment on column audit.backfills.repository_ids is 'Repositories that these named at the beginning, in ascending order.';
comment on column audit.backfills.since is 'Runs created at or after this time.';
comment on column audit.backfills.until is 'Runs created before this time.';
comment on column audit.backfills.taken_at is 'When the step was taken.';
comment on column audit.backfills.by is 'Who did it: --by, or the operating system''s login; null if not recorded.';
comment on column audit.backfills.os_user is 'Operating system user of the process, by login or number; null if not recorded.';
comment on column audit.backfills.database_user is 'session_user of the connection; null if not recorded.';
comment on column audit.backfills.reason is 'The operator''s words; null if none were given.';
comment on column audit.backfills.sealed_in is 'Seal that contains the row; null until it is sealed.';
comment on column audit.backfills.step_id is 'Ascending in the order of the steps.';
