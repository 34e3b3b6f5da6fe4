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
  objects.noted_at,
  seals.sequence as seal
from archive.objects
left join archive.repositories using (repository_id)
left join archive.seals on seals.sequence = objects.sealed_in and seals.published_at is not null
cross join archive.identity;

comment on view audit.objects is 'What lies in the store, object by object, and which seal holds it.';
comment on column audit.objects.host is 'The GitHub host.';
comment on column audit.objects.repository_id is 'GitHub''s id of the repository; null for archive.json.';
comment on column audit.objects.repository is 'The repository''s current owner/name; null for archive.json, and for a repository that this database does not know.';
comment on column audit.objects.run_id is 'GitHub''s id of the run; null for archive.json.';
comment on column audit.objects.job_id is 'GitHub''s id of the job; null for run records and archive.json.';
comment on column audit.objects.object_key is 'Key in the store, under the prefix of ARCHIVE_URL.';
comment on column audit.objects.version_id is 'The store''s id of the version; null where it has none or did not tell it.';
comment on column audit.objects.size_bytes is 'Stored bytes.';
comment on column audit.objects.sha256 is 'SHA-256 of the stored bytes, lower-case hex.';
comment on column audit.objects.noted_at is 'When the loader first saw it, by the database''s clock.';
comment on column audit.objects.seal is 'Sequence of the published seal that holds it; null while it waits for one.';
