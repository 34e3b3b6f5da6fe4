-- Every job object that said something new, not only the best one: the auditor's rows join them all, so that what comes late or
-- says less changes nothing by the order in which it came.
alter table archive.obligations
  add column contents bigint[] not null default '{}',
  add column other_objects json[] not null default '{}';
comment on column archive.obligations.contents is 'Hashes of what the objects received so far say of the job and of each step: how one that says something new is told from one that does not.';
comment on column archive.obligations.other_objects is 'Objects of this job that were received and say something else than object does: a webhook''s, with steps that had not ended.';
