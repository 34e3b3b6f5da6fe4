-- What runners print since 2.336: whether the workflow's lockfile gave the versions of its actions, and what the job may do in the cache.
alter table archive.log_facts
  add column locked_actions boolean,
  add column cache_mode text;
comment on column archive.log_facts.locked_actions is 'Whether the runner says that it used the action versions of the workflow''s lockfile; null where the log was not searched for it.';
comment on column archive.log_facts.cache_mode is 'What the job could do in the Actions cache: read, write, write-only or none; null where the log does not say.';

comment on column archive.annotations.message is 'The message without its mark, with the lines below that have no time of their own, cut after 500 characters.';
