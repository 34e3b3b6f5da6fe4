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

comment on view audit.annotations is 'Errors, warnings and notices in the logs of completed jobs: at most the first 200 and the last 200 of a log.';
comment on column audit.annotations.host is 'The GitHub host that is archived, as it stands in keys.';
comment on column audit.annotations.repository_id is 'GitHub''s id of the repository whose job it is.';
comment on column audit.annotations.job_id is 'GitHub''s id of the job.';
comment on column audit.annotations.step_number is 'The step whose line it is; null where unknown.';
comment on column audit.annotations.level is 'error, warning or notice.';
comment on column audit.annotations.line_number is 'The line of the raw log, from 1.';
comment on column audit.annotations.message is 'The message without its mark, with the lines below that have no time of their own, cut after 500 characters.';
