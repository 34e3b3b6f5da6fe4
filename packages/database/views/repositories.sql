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

comment on view audit.repositories is 'Repositories that this archive knows, by GitHub''s id, which renames and transfers keep. Their names ignore case.';
comment on column audit.repositories.host is 'The GitHub host.';
comment on column audit.repositories.repository_id is 'GitHub''s id of the repository.';
comment on column audit.repositories.repository is 'The repository''s current owner/name.';
comment on column audit.repositories.is_private is 'Whether it was private at the last look; null where GitHub did not say.';
comment on column audit.repositories.is_selected is 'False once the settings no longer name it: what was archived stays.';
comment on column audit.repositories.log_retention_days is 'How many days GitHub keeps its logs; null where GitHub does not say.';
comment on column audit.repositories.archive_since is 'Runs created earlier were not asked for; null until the first look has ended.';
comment on column audit.repositories.polled_at is 'When its runs were last listed, by the database''s clock.';
comment on column audit.repositories.problem is 'Why it could not be listed the last time; null when it could.';
comment on column audit.repositories.problem_since is 'When that problem began.';
comment on column audit.repositories.first_seen_at is 'When this archive first saw it, by the database''s clock.';
