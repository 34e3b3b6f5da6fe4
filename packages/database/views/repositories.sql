create view audit.repositories as
select
  identity.host,
  repositories.repository_id,
  repositories.full_name as repository,
  repositories.is_private,
  repositories.is_selected,
  repositories.log_retention_days,
  repositories.archive_since,
  repositories.polled_at,
  repositories.problem,
  repositories.problem_since,
  repositories.first_seen_at
from archive.repositories
cross join archive.identity;

comment on view audit.repositories is 'Repositories known to this archive. The id survives renames and transfers; names ignore case.';
comment on column audit.repositories.host is 'GitHub host.';
comment on column audit.repositories.repository_id is 'GitHub''s id.';
comment on column audit.repositories.repository is 'Current owner/name.';
comment on column audit.repositories.is_private is 'At the last check; null if GitHub did not say.';
comment on column audit.repositories.is_selected is 'False once the settings no longer select it; its archive stays.';
comment on column audit.repositories.log_retention_days is 'Days that GitHub keeps logs; null if unknown.';
comment on column audit.repositories.archive_since is 'Runs created earlier were not requested; null until the first scan has ended.';
comment on column audit.repositories.polled_at is 'When runs were last listed; null before the first time.';
comment on column audit.repositories.problem is 'Error of the last listing; null if none.';
comment on column audit.repositories.problem_since is 'When the error began; null if none.';
comment on column audit.repositories.first_seen_at is 'When this archive first saw it.';
