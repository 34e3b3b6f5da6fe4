create view audit.damages as
select
  identity.host,
  damages.repository_id,
  repositories.full_name as repository,
  damages.job_id,
  damages.object_key,
  damages.finding,
  damages.found_at,
  damages.repaired_by,
  damages.repaired_at
from archive.damages
left join archive.repositories using (repository_id)
cross join archive.identity;

comment on view audit.damages is 'Objects of the store that the rolling reading of the archive found missing or changed. Verify finds the same from the store alone.';
comment on column audit.damages.host is 'The GitHub host.';
comment on column audit.damages.repository_id is 'GitHub''s id of the repository; null for archive.json.';
comment on column audit.damages.repository is 'The repository''s current owner/name; null for archive.json, and for a repository that this database does not know.';
comment on column audit.damages.job_id is 'GitHub''s id of the job; null for run records and archive.json.';
comment on column audit.damages.object_key is 'Key in the store.';
comment on column audit.damages.finding is 'missing: it is not there. damaged: its bytes are not those that were archived.';
comment on column audit.damages.found_at is 'When, by the database''s clock.';
comment on column audit.damages.repaired_by is 'The key of a log with the same raw bytes that was read from GitHub again; null while there is none.';
comment on column audit.damages.repaired_at is 'When that was stored; null while there is none.';
