-- What the texts of logs say, as their records have it. Written by the loader alone, from the record in force.
create table archive.sections (
  job_id bigint not null references archive.jobs,
  step_number integer not null,
  first_line bigint not null,
  line_count bigint not null,
  raw_start bigint not null,
  raw_bytes bigint not null,
  primary key (job_id, step_number)
);
comment on table archive.sections is 'The lines of a job''s log that belong to a step. Lines that no step owns for certain are in the record alone.';
comment on column archive.sections.job_id is 'GitHub''s id of the job.';
comment on column archive.sections.step_number is 'GitHub''s number of the step.';
comment on column archive.sections.first_line is 'From 1.';
comment on column archive.sections.line_count is 'Lines of the step, all after one another.';
comment on column archive.sections.raw_start is 'Offset of its first byte in the raw log.';
comment on column archive.sections.raw_bytes is 'Its size in the raw log, in bytes.';

create table archive.action_uses (
  job_id bigint not null references archive.jobs,
  position integer not null,
  step_number integer,
  action text not null,
  ref text,
  sha text,
  line_number bigint not null,
  used_at timestamptz,
  primary key (job_id, position)
);
create index action_uses_action_idx on archive.action_uses (action);
create index action_uses_sha_idx on archive.action_uses (sha);
comment on table archive.action_uses is 'Actions, reusable workflows and images that a job''s runner got, by its own log.';
comment on column archive.action_uses.job_id is 'GitHub''s id of the job.';
comment on column archive.action_uses.position is 'Place in the record''s list, from 0.';
comment on column archive.action_uses.step_number is 'The step that ran it; null where unknown.';
comment on column archive.action_uses.action is 'owner/name, owner/name/path, or docker://image.';
comment on column archive.action_uses.ref is 'The branch, tag or commit that the workflow names; an image''s tag or digest.';
comment on column archive.action_uses.sha is 'The commit that the runner got, lower-case hex; sha256:… of an image.';
comment on column archive.action_uses.line_number is 'The line of the log that says so, from 1.';
comment on column archive.action_uses.used_at is 'The time of that line.';

create table archive.annotations (
  job_id bigint not null references archive.jobs,
  line_number bigint not null,
  step_number integer,
  level text not null check (level in ('error', 'warning', 'notice')),
  message text not null,
  primary key (job_id, line_number)
);
comment on table archive.annotations is 'Lines of logs that the runner marks as errors, warnings and notices: the first and the last of a log.';
comment on column archive.annotations.job_id is 'GitHub''s id of the job.';
comment on column archive.annotations.line_number is 'From 1.';
comment on column archive.annotations.step_number is 'The step whose line it is; null where unknown.';
comment on column archive.annotations.level is 'error, warning or notice.';
comment on column archive.annotations.message is 'The line without its mark, cut after 500 characters.';
