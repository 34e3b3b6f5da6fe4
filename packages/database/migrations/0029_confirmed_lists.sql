-- The job list that closed an attempt is read once more a day later: a list that is short for hours, and counts short, is found by that.
alter table archive.attempts
  add column jobs_etag text,
  add column confirm_due_at timestamptz;

comment on column archive.attempts.jobs_etag is 'GitHub''s ETag of the list of jobs that closed the attempt: while it holds, listing the jobs again costs nothing of the limit. Null when there is none.';
comment on column archive.attempts.confirm_due_at is 'When the jobs of the listed attempt are listed once more, a day after the list that closed it, by the database''s clock. Null when they are not.';

create index attempts_confirm_due_idx on archive.attempts (repository_id, confirm_due_at) where confirm_due_at is not null;
