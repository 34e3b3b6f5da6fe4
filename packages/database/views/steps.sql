create view audit.steps as
select
  identity.host,
  jobs.repository_id,
  steps.job_id,
  steps.step_number,
  steps.step_name,
  steps.status,
  steps.conclusion,
  steps.started_at,
  steps.completed_at,
  -- greatest() ignores null and would return 0.
  case
    when steps.started_at <= steps.completed_at then floor(extract(epoch from steps.completed_at - steps.started_at))::bigint
    when steps.started_at > steps.completed_at then 0
  end as duration_seconds,
  sections.first_line,
  sections.line_count,
  repositories.full_name as repository,
  jobs.run_id,
  jobs.workflow_name,
  jobs.job_name,
  jobs.completed_at as job_completed_at
from archive.steps
join archive.jobs on jobs.job_id = steps.job_id
left join archive.repositories on repositories.repository_id = jobs.repository_id
left join archive.sections on sections.job_id = steps.job_id and sections.step_number = steps.step_number
cross join archive.identity
where jobs.status = 'completed';

comment on view audit.steps is 'Steps of completed jobs. A fact that the job object lacks is null.';
comment on column audit.steps.host is 'GitHub host.';
comment on column audit.steps.repository_id is 'GitHub''s id.';
comment on column audit.steps.job_id is 'GitHub''s id.';
comment on column audit.steps.step_number is 'GitHub''s number; not contiguous.';
comment on column audit.steps.step_name is 'Null if unknown.';
comment on column audit.steps.status is 'GitHub''s status; null if unknown.';
comment on column audit.steps.conclusion is 'GitHub''s conclusion; null if the step has not ended.';
comment on column audit.steps.started_at is 'Null if the step has not started.';
comment on column audit.steps.completed_at is 'May be before started_at; null if the step has not ended.';
comment on column audit.steps.duration_seconds is 'From started_at to completed_at; 0 if negative, null if unknown.';
comment on column audit.steps.first_line is 'First line in the raw log; null if uncertain.';
comment on column audit.steps.line_count is 'Contiguous lines from first_line that are certainly the step''s, which may have more if background steps print in between; null if none.';
comment on column audit.steps.repository is 'Current owner/name; null if only the id is known.';
comment on column audit.steps.run_id is 'GitHub''s id.';
comment on column audit.steps.workflow_name is 'Null if unknown.';
comment on column audit.steps.job_name is 'Null if unknown.';
comment on column audit.steps.job_completed_at is 'Null if unknown.';
