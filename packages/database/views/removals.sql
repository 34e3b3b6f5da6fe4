create view audit.removals as
select
  identity.host,
  removals.runs_before,
  removals.removed_at,
  removals.runs,
  removals.jobs,
  removals.closed_gaps,
  removals.sealed_in,
  removals.database_user
from archive.removals
cross join archive.identity;

comment on view audit.removals is 'What the owner removed from this database; the store keeps it. audit.coverage begins at the latest runs_before.';
comment on column audit.removals.host is 'The GitHub host.';
comment on column audit.removals.runs_before is 'Runs created before this instant are no longer counted, nor asked for. Of their jobs'' rows some may still stand.';
comment on column audit.removals.removed_at is 'When, by the database''s clock.';
comment on column audit.removals.runs is 'How many runs were removed.';
comment on column audit.removals.jobs is 'How many of their jobs were removed, each with its log archived or absent.';
comment on column audit.removals.closed_gaps is 'How many attempts among them had vanished or never completed: gaps that stood in audit.gaps until then.';
comment on column audit.removals.sealed_in is 'Sequence of the seal that carries it as it is now; null while it waits for one. Until then verify --against-database calls the removed rows missing.';
comment on column audit.removals.database_user is 'Login (session_user) of the database connection that removed them; null where it was not recorded.';
