create view audit.action_uses as
select
  identity.host,
  jobs.repository_id,
  repositories.full_name as repository,
  action_uses.job_id,
  action_uses.step_number,
  action_uses.action,
  action_uses.ref,
  action_uses.sha,
  action_uses.used_at,
  action_uses.action_lower,
  action_uses.line_number,
  jobs.run_id,
  jobs.completed_at as job_completed_at,
  -- Only a self-repository reference names the very commit that it stands in; a pull request's run has a merge commit instead.
  coalesce(
    action_uses.ref ~ '^[0-9a-f]{40}$'
    and (
      action_uses.ref = jobs.head_sha
      or starts_with(action_uses.action_lower || '/', lower(repositories.full_name collate "C") || '/')
    ),
    false
  ) as is_self_repository
from archive.action_uses
join archive.jobs on jobs.job_id = action_uses.job_id
cross join archive.identity
left join archive.repositories on repositories.repository_id = jobs.repository_id
where jobs.status = 'completed';

comment on view audit.action_uses is 'Actions, reusable workflows and images that completed jobs used, by the runner''s own words in their logs. A job can add to its own rows by printing such words, never take from them.';
comment on column audit.action_uses.host is 'The GitHub host that is archived, as it stands in keys.';
comment on column audit.action_uses.repository_id is 'GitHub''s id of the repository whose job it is.';
comment on column audit.action_uses.repository is 'The current owner/name of the repository whose job it is; null when only its id is known.';
comment on column audit.action_uses.job_id is 'GitHub''s id of the job.';
comment on column audit.action_uses.step_number is 'The step that ran it; null where unknown, as for actions inside others.';
comment on column audit.action_uses.action is 'owner/name, owner/name/path, or docker://image. Names of actions ignore case: compare action_lower.';
comment on column audit.action_uses.ref is 'The branch, tag or commit that the workflow names; an image''s tag or digest. Null where the log names none.';
comment on column audit.action_uses.sha is 'The commit that the runner got, lower-case hex; sha256:… of an image; null in logs of 2021 and before.';
comment on column audit.action_uses.used_at is 'When the runner got it; null where that line of the log has no time.';
comment on column audit.action_uses.action_lower is 'action in lower case: names of actions ignore case. Compare this one; its collation is C, so that a prefix is a range.';
comment on column audit.action_uses.line_number is 'The line of the raw log that says so, from 1.';
comment on column audit.action_uses.run_id is 'GitHub''s id of the run.';
comment on column audit.action_uses.job_completed_at is 'When the job completed; null where the job object lacks it.';
comment on column audit.action_uses.is_self_repository is 'Whether it is an action of the job''s own repository at a commit: what the runner makes of `uses: $/path`. By the run''s commit, or by the repository''s current name. False for what a called workflow of another repository names so.';
