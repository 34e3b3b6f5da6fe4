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

comment on view audit.removals is 'Runs that the owner removed from this database; the store keeps them. audit.coverage begins at the largest runs_before.';
comment on column audit.removals.host is 'GitHub host.';
comment on column audit.removals.runs_before is 'Runs created before this time are neither counted nor fetched. Some rows of their jobs may remain.';
comment on column audit.removals.removed_at is 'When they were removed.';
comment on column audit.removals.runs is 'Runs removed.';
comment on column audit.removals.jobs is 'Jobs removed; the log of each was archived or absent.';
comment on column audit.removals.closed_gaps is 'Removed attempts in state gone or never_completed, which were gaps.';
comment on column audit.removals.sealed_in is 'Seal that contains the row as it is now; null until then, while verify --against-database reports the removed rows as missing.';
comment on column audit.removals.database_user is 'session_user of the connection; null if not recorded.';
