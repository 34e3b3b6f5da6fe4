-- What else the records say of a log: the token's permissions, the runner, and whether its lists are whole.
create table archive.log_facts (
  job_id bigint primary key references archive.jobs,
  action_uses_left_out integer check (action_uses_left_out >= 0),
  annotations_left_out integer check (annotations_left_out >= 0),
  permissions_left_out integer check (permissions_left_out >= 0),
  runner_version text,
  runner_name text,
  runner_group_name text,
  machine text,
  os text,
  image text,
  image_version text,
  region text,
  provisioner text,
  secret_source text
);
comment on table archive.log_facts is 'What the text of a job''s log says once, and how whole the lists of it are. A row for each job whose record in force looked at the log.';
comment on column archive.log_facts.job_id is 'GitHub''s id of the job.';
comment on column archive.log_facts.action_uses_left_out is 'How many action uses the record''s cap left out; null where the log was not searched for them.';
comment on column archive.log_facts.annotations_left_out is 'How many annotations the record''s cap left out; null where the log was not searched for them.';
comment on column archive.log_facts.permissions_left_out is 'How many permissions the record left out; null where the log was not searched for them.';
comment on column archive.log_facts.runner_version is 'Version of actions/runner, by the log; null where the log does not say, as in all columns of the runner.';
comment on column archive.log_facts.runner_name is 'The runner''s name, by the log: self-hosted runners alone print it, else null.';
comment on column archive.log_facts.runner_group_name is 'The runner''s group, by the log: self-hosted runners alone print it, else null.';
comment on column archive.log_facts.machine is 'The machine''s host name, by the log: self-hosted runners alone print it, else null.';
comment on column archive.log_facts.os is 'The operating system in the log''s words, of GitHub-hosted runners; null where the log does not say.';
comment on column archive.log_facts.image is 'The runner image, of GitHub-hosted runners; null where the log does not say.';
comment on column archive.log_facts.image_version is 'The version of the runner image; null where the log does not say.';
comment on column archive.log_facts.region is 'The Azure region of a GitHub-hosted runner; null where the log does not say.';
comment on column archive.log_facts.provisioner is 'The version of what provisioned a GitHub-hosted runner; null where the log does not say.';
comment on column archive.log_facts.secret_source is 'Whose secrets the job got: Actions, Dependabot, or None, as for a fork; null where the log does not say.';

create table archive.permissions (
  job_id bigint not null references archive.jobs,
  scope text not null,
  access text not null,
  primary key (job_id, scope)
);
comment on table archive.permissions is 'What the GITHUB_TOKEN of a job was allowed, by its log.';
comment on column archive.permissions.job_id is 'GitHub''s id of the job.';
comment on column archive.permissions.scope is 'In the log''s words: Contents, PullRequests, …';
comment on column archive.permissions.access is 'In the log''s words: read or write.';

-- A view keeps the types of its columns. Rebuilt by the same `migrate`.
drop schema if exists audit cascade;

-- Names of actions ignore case at GitHub. In collation C a prefix is a range, which an index answers through a view that is a
-- security barrier: `like` and `lower()` are not leakproof, `>=` and `<` are.
alter table archive.action_uses
  add column action_lower text collate "C" not null generated always as (lower(action collate "C")) stored,
  alter column sha type text collate "C";
comment on column archive.action_uses.action_lower is 'action in lower case (ASCII), as GitHub compares names.';
drop index archive.action_uses_action_idx;
create index action_uses_action_lower_idx on archive.action_uses (action_lower);

-- Reports on the whole archive ask for a span of time.
create index jobs_completed_at_idx on archive.jobs (completed_at);
create index obligations_expires_at_idx on archive.obligations (expires_at);
