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
  -- Who triggered the run is the same in all of its attempts; who triggered an attempt is not.
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

comment on view audit.attempts is 'Attempts of workflow runs, each re-run being one. actor, triggering_actor, pull_request_numbers and head_repository are as the attempt itself shows them; what else is said of the run is as its newest attempt shows it.';
comment on column audit.attempts.host is 'The GitHub host.';
comment on column audit.attempts.repository_id is 'GitHub''s id of the repository.';
comment on column audit.attempts.repository is 'The repository''s current owner/name; null when only its id is known.';
comment on column audit.attempts.run_id is 'GitHub''s id of the run.';
comment on column audit.attempts.run_attempt is 'From 1.';
comment on column audit.attempts.run_number is 'The run''s number in its workflow; null where the run object lacks it.';
comment on column audit.attempts.workflow_id is 'GitHub''s id of the workflow; null where the run object lacks it.';
comment on column audit.attempts.workflow_name is 'The run''s name, which is its workflow''s unless that sets another; null where the run object lacks it.';
comment on column audit.attempts.path is 'The workflow''s file; null where the run object lacks it.';
comment on column audit.attempts.event is 'What triggered the run, in GitHub''s words; null where the run object lacks it.';
comment on column audit.attempts.actor is 'Login of who triggered the run; null when the account is gone, and until the run was seen.';
comment on column audit.attempts.triggering_actor is 'Login of who triggered this attempt; null when the account is gone, and until the attempt itself was seen.';
comment on column audit.attempts.head_branch is 'The run''s branch or tag; null where the run object lacks it.';
comment on column audit.attempts.head_sha is 'The run''s commit, lower-case hex; null where the run object lacks it.';
comment on column audit.attempts.created_at is 'When the run was created.';
comment on column audit.attempts.state is 'open: jobs may still come. listed: its jobs were listed after it completed. gone: its run answered 404 for a day. never_completed: closed at 35 days. Whatever shows the run again reopens it.';
comment on column audit.attempts.status is 'The attempt''s status at GitHub; null until the attempt itself was seen.';
comment on column audit.attempts.conclusion is 'How the attempt ended; null before that.';
comment on column audit.attempts.updated_at is 'GitHub''s updated_at of the attempt, which of a completed one is its end unless GitHub changed it later; null until the attempt itself was seen.';
comment on column audit.attempts.listed_at is 'When its final list of jobs was read, by the database''s clock; null before that.';
comment on column audit.attempts.listed_jobs is 'How many jobs that list had; null before it was read.';
comment on column audit.attempts.record_key is 'Its run record in the store, relative to the prefix; null until it is written.';
comment on column audit.attempts.first_seen_at is 'When this archive first saw it, by the database''s clock.';
comment on column audit.attempts.pull_request_numbers is 'Numbers of the pull requests that GitHub names in the run object of this attempt: open ones of the same repository, none for a fork. Null until the attempt itself was seen, and where the object lacks them.';
comment on column audit.attempts.head_repository is 'owner/name that the commit is from: a fork, or the repository itself; null until the attempt itself was seen, and where the object lacks it, as after a fork was deleted.';
