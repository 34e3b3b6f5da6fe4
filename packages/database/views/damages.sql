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

comment on view audit.damages is 'Objects of the store that the scrub found missing or changed. verify finds them from the store alone.';
comment on column audit.damages.host is 'GitHub host.';
comment on column audit.damages.repository_id is 'Null for archive.json.';
comment on column audit.damages.repository is 'Current owner/name; null if unknown.';
comment on column audit.damages.job_id is 'Null for run records and archive.json.';
comment on column audit.damages.object_key is 'Key in the store.';
comment on column audit.damages.finding is 'missing, or damaged: the bytes differ from the archived ones.';
comment on column audit.damages.found_at is 'When it was found.';
comment on column audit.damages.repaired_by is 'Key of a log with the same raw bytes, downloaded again; null until then.';
comment on column audit.damages.repaired_at is 'When that was stored; null until then.';
