create view audit.runners as
select
  identity.host,
  jobs.repository_id,
  repositories.full_name as repository,
  jobs.run_id,
  jobs.job_id,
  jobs.workflow_name,
  jobs.job_name,
  jobs.started_at,
  jobs.completed_at,
  jobs.runner_id,
  coalesce(nullif(jobs.runner_name, ''), log_facts.runner_name) as runner_name,
  coalesce(nullif(jobs.runner_group_name, ''), log_facts.runner_group_name) as runner_group_name,
  jobs.labels,
  case
    when 'self-hosted' = any (jobs.labels) then 'self-hosted'
    when log_facts.image is not null or log_facts.region is not null or jobs.runner_group_name = 'GitHub Actions' then 'hosted'
    when log_facts.runner_version is not null then 'self-hosted'
  end as kind,
  log_facts.runner_version,
  log_facts.machine,
  log_facts.os,
  log_facts.image,
  log_facts.image_version,
  log_facts.region,
  log_facts.provisioner,
  log_facts.secret_source
from archive.jobs
cross join archive.identity
left join archive.repositories on repositories.repository_id = jobs.repository_id
left join archive.log_facts on log_facts.job_id = jobs.job_id
where jobs.status = 'completed';

comment on view audit.runners is 'Which runner ran each completed job: what GitHub says of it, and what the runner says of itself in the log.';
comment on column audit.runners.host is 'The GitHub host.';
comment on column audit.runners.repository_id is 'GitHub''s id of the repository.';
comment on column audit.runners.repository is 'The repository''s current owner/name.';
comment on column audit.runners.run_id is 'GitHub''s id of the run.';
comment on column audit.runners.job_id is 'GitHub''s id of the job.';
comment on column audit.runners.workflow_name is 'The workflow''s name; null where the job object lacks it.';
comment on column audit.runners.job_name is 'The job''s name.';
comment on column audit.runners.started_at is 'When the job started.';
comment on column audit.runners.completed_at is 'When the job completed.';
comment on column audit.runners.runner_id is 'GitHub''s id of the runner; null or 0 when the job had none.';
comment on column audit.runners.runner_name is 'The runner''s name; GitHub-hosted ones get a new one for each job.';
comment on column audit.runners.runner_group_name is 'The runner''s group.';
comment on column audit.runners.labels is 'The labels that the job asked for.';
comment on column audit.runners.kind is 'self-hosted: by its label, or since its log names no image of GitHub''s. hosted: by GitHub''s group, or an image or region in the log. Null: neither is known, as of a job without a runner or without a log.';
comment on column audit.runners.runner_version is 'Version of actions/runner, by the log; null where no log says it.';
comment on column audit.runners.machine is 'The machine''s host name, by the log: self-hosted runners alone print it.';
comment on column audit.runners.os is 'The operating system in the log''s words, of GitHub-hosted runners.';
comment on column audit.runners.image is 'The runner image, of GitHub-hosted runners.';
comment on column audit.runners.image_version is 'The version of the runner image.';
comment on column audit.runners.region is 'The Azure region of a GitHub-hosted runner.';
comment on column audit.runners.provisioner is 'The version of what provisioned a GitHub-hosted runner.';
comment on column audit.runners.secret_source is 'Whose secrets the job got: Actions, Dependabot, or None, as for a fork.';
