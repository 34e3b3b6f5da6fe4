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
comment on column audit.steps.host is 'The GitHub host that is archived, as it stands in keys.';
comment on column audit.steps.repository_id is 'GitHub''s id of the repository, which renames and transfers keep.';
comment on column audit.steps.job_id is 'GitHub''s id of the job.';
comment on column audit.steps.step_number is 'GitHub''s number; numbers have gaps.';
comment on column audit.steps.step_name is 'GitHub''s name of the step; null where the job object lacks it.';
comment on column audit.steps.status is 'GitHub''s status of the step; null where the job object lacks it.';
comment on column audit.steps.conclusion is 'How the step ended, in GitHub''s words; null when it has no end.';
comment on column audit.steps.started_at is 'GitHub''s started_at; null when the step did not start.';
comment on column audit.steps.completed_at is 'GitHub''s completed_at, which can be before started_at; null when the step did not end.';
comment on column audit.steps.duration_seconds is 'Whole seconds from started_at to completed_at; 0 when negative, null when unknown.';
comment on column audit.steps.first_line is 'First line of the step in the raw log, from 1; null where none is certainly its own.';
comment on column audit.steps.line_count is 'Lines from first_line on that are certainly the step''s, without gap; null where there is none, as of a skipped step. Where steps in the background print between its lines, it has others.';
comment on column audit.steps.repository is 'The repository''s current owner/name.';
comment on column audit.steps.run_id is 'GitHub''s id of the run.';
comment on column audit.steps.workflow_name is 'The workflow''s name; null where the job object lacks it.';
comment on column audit.steps.job_name is 'The job''s name.';
comment on column audit.steps.job_completed_at is 'When the job completed.';
