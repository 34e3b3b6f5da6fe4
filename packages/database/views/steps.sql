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
  -- greatest() alone would pass over null and answer 0.
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

comment on view audit.steps is 'Steps of completed jobs.';
comment on column audit.steps.step_number is 'GitHub''s number; numbers have gaps.';
comment on column audit.steps.duration_seconds is 'Whole seconds from started_at to completed_at; 0 when negative, null when unknown.';
comment on column audit.steps.first_line is 'First line of the step in the raw log, from 1; null where none is certainly its own.';
comment on column audit.steps.line_count is 'Lines that are certainly the step''s; null where there is none, as of a skipped step.';
comment on column audit.steps.repository is 'The repository''s current owner/name.';
comment on column audit.steps.run_id is 'GitHub''s id of the run.';
comment on column audit.steps.workflow_name is 'The workflow''s name; null where the job object lacks it.';
comment on column audit.steps.job_name is 'The job''s name.';
comment on column audit.steps.job_completed_at is 'When the job completed.';
