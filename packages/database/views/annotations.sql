create view audit.annotations as
select
  identity.host,
  jobs.repository_id,
  annotations.job_id,
  annotations.step_number,
  annotations.level,
  annotations.line_number,
  annotations.message
from archive.annotations
join archive.jobs on jobs.job_id = annotations.job_id
cross join archive.identity
where jobs.status = 'completed';

comment on view audit.annotations is 'Errors, warnings and notices in the logs of completed jobs: at most the first 200 and the last 200 per log.';
comment on column audit.annotations.host is 'GitHub host.';
comment on column audit.annotations.repository_id is 'GitHub''s id.';
comment on column audit.annotations.job_id is 'GitHub''s id.';
comment on column audit.annotations.step_number is 'Null if unknown.';
comment on column audit.annotations.level is 'error, warning or notice.';
comment on column audit.annotations.line_number is 'Line of the raw log.';
comment on column audit.annotations.message is 'Without its marker, with the following lines that have no time; cut after 500 characters.';
