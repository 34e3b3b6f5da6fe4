-- What lets an idle poll cost nothing of GitHub's limit: an answer that nothing changed.
alter table archive.repositories
  add column runs_etag text,
  add column runs_etag_credential text;
comment on column archive.repositories.runs_etag is 'ETag of the first page of the run list, as of the last poll that listed everything.';
comment on column archive.repositories.runs_etag_credential is 'The credential that the ETag was given to: it holds for no other.';
