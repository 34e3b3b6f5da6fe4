-- Locks that only this archive's own roles can take. An advisory lock is open to every role that can connect, so that an auditor could
-- stop sealing, loading, removal and migration with one call of pg_advisory_lock.
create table archive.locks (
  name text primary key
);
comment on table archive.locks is 'A row for each thing that one process does at a time: who does it holds the row with `for update` in a transaction. Auditors have no right to this table.';
comment on column archive.locks.name is 'sealing: one seal is made and put. seals: the chain in the database changes. rebuild: the database is rebuilt. removal: partitions are made (shared) or removed.';
insert into archive.locks (name) values ('sealing'), ('seals'), ('rebuild'), ('removal');

-- Whatever else the two functions do by now stays.
do $$
declare
  definition text;
  shared constant text := 'perform pg_advisory_xact_lock_shared(hashtext(''actions-archive removal''))';
  exclusive constant text := 'perform pg_advisory_xact_lock(hashtext(''actions-archive removal''))';
begin
  definition := pg_get_functiondef('archive.make_partitions(bigint[])'::regprocedure);
  if position(shared in definition) = 0 then raise exception 'archive.make_partitions has no lock to replace'; end if;
  execute replace(definition, shared, 'perform from archive.locks where name = ''removal'' for share');
  definition := pg_get_functiondef('archive.remove_runs_before(timestamptz)'::regprocedure);
  if position(exclusive in definition) = 0 then raise exception 'archive.remove_runs_before has no lock to replace'; end if;
  execute replace(definition, exclusive, 'perform from archive.locks where name = ''removal'' for update');
end
$$;
