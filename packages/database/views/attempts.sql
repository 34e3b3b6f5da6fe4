create view audit.attempts as
select
  identity.host,
  attempts.repository_id,
  repositories.full_name as repository,
  attempts.run_id,
  attempts.run_attempt,
  runs.run_number,
  runs.workflow_id,
  runs.workflow_name,
  runs.path,
  runs.event,
  -- All attempts of a run have the same actor, but each has its own triggering_actor.
  case when attempts.object is null then runs.actor else attempts.actor end as actor,
  case
    when attempts.object is not null then attempts.triggering_actor
    when attempts.run_attempt = runs.run_attempt then runs.triggering_actor
  end as triggering_actor,
  runs.head_branch,
  runs.head_sha,
  runs.created_at,
  attempts.state,
  attempts.status,
  attempts.conclusion,
  attempts.run_updated_at as updated_at,
  attempts.listed_at,
  attempts.listed_jobs,
  attempts.record_key,
  attempts.first_seen_at,
  attempts.pull_request_numbers,
  attempts.head_repository
from archive.attempts
cross join archive.identity
left join archive.repositories on repositories.repository_id = attempts.repository_id
left join archive.runs on runs.run_id = attempts.run_id;

comment on view audit.attempts is 'Attempts of workflow runs; each re-run is one. actor, triggering_actor, pull_request_numbers and head_repository are of this attempt, other facts of the run as of its newest attempt. A fact that the run object lacks is null.';
comment on column audit.attempts.host is 'GitHub host.';
comment on column audit.attempts.repository_id is 'GitHub''s id.';
comment on column audit.attempts.repository is 'Current owner/name; null if only the id is known.';
comment on column audit.attempts.run_id is 'GitHub''s id.';
comment on column audit.attempts.run_attempt is 'Counted from 1.';
comment on column audit.attempts.run_number is 'Number within the workflow; null if unknown.';
comment on column audit.attempts.workflow_id is 'GitHub''s id; null if unknown.';
comment on column audit.attempts.workflow_name is 'The run''s name: the workflow''s, unless the workflow sets another; null if unknown.';
comment on column audit.attempts.path is 'Workflow file; null if unknown.';
comment on column audit.attempts.event is 'What triggered the run; null if unknown.';
comment on column audit.attempts.actor is 'Who triggered the run; null if the account is gone or the run is not fetched.';
comment on column audit.attempts.triggering_actor is 'Who triggered this attempt; null if the account is gone or the attempt is not fetched.';
comment on column audit.attempts.head_branch is 'Branch or tag; null if unknown.';
comment on column audit.attempts.head_sha is 'Commit; null if unknown.';
comment on column audit.attempts.created_at is 'When the run was created.';
comment on column audit.attempts.state is 'open: jobs may follow. listed: jobs listed after completion. gone: the run answered 404 for a day. never_completed: closed after 35 days. The last two reopen when the run is seen again.';
comment on column audit.attempts.status is 'GitHub''s status; null until the attempt is fetched.';
comment on column audit.attempts.conclusion is 'Null until it has ended.';
comment on column audit.attempts.updated_at is 'GitHub''s updated_at, usually the end of a completed attempt; null until the attempt is fetched.';
comment on column audit.attempts.listed_at is 'When the final job list was read; null before.';
comment on column audit.attempts.listed_jobs is 'Length of that list; null before.';
comment on column audit.attempts.record_key is 'Run record, relative to the store''s prefix; null until written.';
comment on column audit.attempts.first_seen_at is 'When this archive first saw it.';
comment on column audit.attempts.pull_request_numbers is 'Open pull requests of the same repository that GitHub names for this attempt, none for a fork; null if unknown.';
comment on column audit.attempts.head_repository is 'owner/name of the commit, which may be a fork; null if unknown, as after the fork was deleted.';
