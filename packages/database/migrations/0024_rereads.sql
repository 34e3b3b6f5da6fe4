-- Archived logs are read again when the extraction knows more than it did, or the job object shows more steps.
alter table archive.logs
  add column extraction_version integer,
  add column object_steps integer;
comment on column archive.logs.extraction_version is 'Version of the extraction that wrote the record in force; null where the record does not say, which counts as 0, and when the log is absent.';
comment on column archive.logs.object_steps is 'How much the job object of the record in force says of its steps, counted as in the ledger; null where a version before 0024 loaded it.';

alter table archive.obligations
  add column extraction_version integer not null default 0,
  add column recorded_steps integer,
  add column reread_tries integer not null default 0,
  add column reread_due_at timestamptz,
  add column reread_problem text;
comment on column archive.obligations.extraction_version is 'That of archive.logs, 0 for null: below the program''s own, an archived log is read again.';
comment on column archive.obligations.recorded_steps is 'object_steps of archive.logs: below this row''s own object_steps, an archived log is read again. Null until a record is loaded.';
comment on column archive.obligations.reread_tries is 'How many readings of the archived log began since the last one that ended well.';
comment on column archive.obligations.reread_due_at is 'Before this instant no loader reads the archived log again: the last reading did not end well. Null when it did.';
comment on column archive.obligations.reread_problem is 'Why the last reading of the archived log did not end well; null when it did, or when its process died.';

comment on column archive.obligations.object_steps is 'How much the object says of its steps: how many there are, how many are completed, and how many of their conclusions and times are known, counted together. One with more replaces one with fewer.';

create index obligations_extraction_version_idx on archive.obligations (extraction_version) where log_state = 'archived';
create index obligations_fuller_object_idx on archive.obligations (job_id) where log_state = 'archived' and object_steps > recorded_steps;
