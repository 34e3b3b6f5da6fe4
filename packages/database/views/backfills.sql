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

comment on view audit.backfills is 'What operators did with backfills, one row per step: begun, paused, resumed or cancelled.';
comment on column audit.backfills.host is 'The GitHub host.';
comment on column audit.backfills.repository_id is 'Always null: a backfill can be of many repositories, see repository_ids.';
comment on column audit.backfills.backfill_id is 'The backfill''s number.';
comment on column audit.backfills.step is 'begin, pause, resume or cancel.';
comment on column audit.backfills.asked_for is 'Repositories and patterns as the operator wrote them.';
comment on column audit.backfills.repository_ids is 'GitHub''s ids of the repositories that these named when it began, in ascending order.';
comment on column audit.backfills.since is 'Runs created at this instant or later.';
comment on column audit.backfills.until is 'Runs created before this instant.';
comment on column audit.backfills.taken_at is 'When the step was taken, by the database''s clock.';
comment on column audit.backfills.by is 'Who did it, as --by names them, or the operating system''s login; null where it was not recorded.';
comment on column audit.backfills.os_user is 'Login of the operating system''s user whose process did it, or the user''s number; null where it was not recorded.';
comment on column audit.backfills.database_user is 'Login (session_user) of the database connection that did it; null where it was not recorded.';
comment on column audit.backfills.reason is 'In the operator''s words; null where none was given.';
comment on column audit.backfills.sealed_in is 'Sequence of the seal that carries it; null while it waits for one.';
comment on column audit.backfills.step_id is 'In the order of the steps.';
