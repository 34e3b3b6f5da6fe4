-- A reading of an archived log holds one of these rows, by the last byte of the job's id: a row for each job would have to be made first.
insert into archive.locks (name) select 'reread ' || bucket from generate_series(0, 255) as bucket;
comment on column archive.locks.name is 'sealing: one seal is made and put. seals: the chain in the database changes. rebuild: the database is rebuilt. removal: partitions are made (shared) or removed. reread N: an archived log is read again, of a job whose id leaves N when it is divided by 256.';
