create view audit.objects as
select
  identity.host,
  objects.repository_id,
  repositories.full_name as repository,
  objects.run_id,
  objects.job_id,
  objects.object_key,
  objects.version_id,
  objects.size_bytes,
  objects.sha256,
  objects.recorded_at,
  seals.sequence as seal
from archive.objects
left join archive.repositories using (repository_id)
left join archive.seals on seals.sequence = objects.sealed_in and seals.published_at is not null
cross join archive.identity;

comment on view audit.objects is 'Objects in the store, and the seal that contains each.';
comment on column audit.objects.host is 'GitHub host.';
comment on column audit.objects.repository_id is 'Null for archive.json.';
comment on column audit.objects.repository is 'Current owner/name; null if unknown.';
comment on column audit.objects.run_id is 'Null for archive.json.';
comment on column audit.objects.job_id is 'Null for run records and archive.json.';
comment on column audit.objects.object_key is 'Relative to the store''s prefix.';
comment on column audit.objects.version_id is 'The store''s version id; null if it has none or did not return it.';
comment on column audit.objects.size_bytes is 'Stored bytes.';
comment on column audit.objects.sha256 is 'SHA-256 of the stored bytes.';
comment on column audit.objects.recorded_at is 'When the loader recorded it.';
comment on column audit.objects.seal is 'Published seal that contains it; null until then.';
