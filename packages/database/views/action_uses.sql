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
  -- Only a self-repository reference names its own commit. A pull request's run has a merge commit instead.
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

comment on view audit.action_uses is 'Actions, reusable workflows and images that completed jobs used, as the runner printed them in the log. A job can add rows of its own by printing the same text; it cannot remove any.';
comment on column audit.action_uses.host is 'GitHub host.';
comment on column audit.action_uses.repository_id is 'GitHub''s id.';
comment on column audit.action_uses.repository is 'Current owner/name; null if only the id is known.';
comment on column audit.action_uses.job_id is 'GitHub''s id.';
comment on column audit.action_uses.step_number is 'Step that ran it; null if unknown, as for an action within another.';
comment on column audit.action_uses.action is 'owner/name, owner/name/path or docker://image. Compare action_lower instead.';
comment on column audit.action_uses.ref is 'Branch, tag or commit in the workflow; tag or digest of an image. Null if the log has none.';
comment on column audit.action_uses.sha is 'Commit that the runner downloaded; sha256:… of an image; null in logs up to 2021.';
comment on column audit.action_uses.used_at is 'When the runner downloaded it; null if the line has no time.';
comment on column audit.action_uses.action_lower is 'action in lower case, since GitHub ignores case. Collation C: a prefix is a range.';
comment on column audit.action_uses.line_number is 'Line of the raw log.';
comment on column audit.action_uses.run_id is 'GitHub''s id.';
comment on column audit.action_uses.job_completed_at is 'Null if the job object lacks it.';
comment on column audit.action_uses.is_self_repository is 'True for an action of the job''s own repository at a commit (`uses: $/path`), by the run''s commit or the repository''s current name. False where a called workflow of another repository uses its own actions.';
