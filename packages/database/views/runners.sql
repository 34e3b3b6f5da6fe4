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

comment on view audit.runners is 'The runner of each completed job, by GitHub''s job object and by what the runner printed in the log.';
comment on column audit.runners.host is 'GitHub host.';
comment on column audit.runners.repository_id is 'GitHub''s id.';
comment on column audit.runners.repository is 'Current owner/name; null if only the id is known.';
comment on column audit.runners.run_id is 'GitHub''s id.';
comment on column audit.runners.job_id is 'GitHub''s id.';
comment on column audit.runners.workflow_name is 'Null if unknown.';
comment on column audit.runners.job_name is 'Null if unknown.';
comment on column audit.runners.started_at is 'Null if unknown.';
comment on column audit.runners.completed_at is 'Null if unknown.';
comment on column audit.runners.runner_id is 'GitHub''s id; null or 0 without a runner.';
comment on column audit.runners.runner_name is 'Unique per job for GitHub-hosted runners; null without a runner.';
comment on column audit.runners.runner_group_name is 'Null without a runner.';
comment on column audit.runners.labels is 'Labels of runs-on.';
comment on column audit.runners.kind is 'self-hosted: by its label, or its log names no image of GitHub''s. hosted: by GitHub''s group, or an image or region in the log. Null if unknown, as without a runner or log.';
comment on column audit.runners.runner_version is 'Version of actions/runner; null if not in the log.';
comment on column audit.runners.machine is 'Host name, which only self-hosted runners print; null if not in the log.';
comment on column audit.runners.os is 'Operating system of a GitHub-hosted runner; null if not in the log.';
comment on column audit.runners.image is 'Image of a GitHub-hosted runner; null if not in the log.';
comment on column audit.runners.image_version is 'Version of the image; null if not in the log.';
comment on column audit.runners.region is 'Azure region of a GitHub-hosted runner; null if not in the log.';
comment on column audit.runners.provisioner is 'Version of the provisioner of a GitHub-hosted runner; null if not in the log.';
comment on column audit.runners.secret_source is 'Whose secrets the job received: Actions, Dependabot, or None, as for a fork; null if not in the log.';
