-- What coverage and gaps are counted from: narrow indexes, so that a million jobs are counted without reading their objects.
alter table archive.attempts add column missing_jobs integer not null default 0;
comment on column archive.attempts.missing_jobs is 'Jobs that its final listing showed and that had not completed, so that the ledger had no row of them then.';

create index attempts_coverage_idx on archive.attempts (run_id) include (state);
create index attempts_closed_idx on archive.attempts (run_id) where state in ('gone', 'never_completed');
create index attempts_missing_jobs_idx on archive.attempts (run_id) where missing_jobs > 0;
create index obligations_coverage_idx on archive.obligations (run_id) include (log_state, log_reason, rows_loaded_at);
create index obligations_unrecorded_idx on archive.obligations (run_id) where log_state in ('archived', 'absent') and record_key is null;
create index runs_coverage_idx on archive.runs (repository_id, created_at) include (run_id);
drop index archive.runs_repository_id_created_at_idx;
