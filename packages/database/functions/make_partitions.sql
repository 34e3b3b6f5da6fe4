-- Partitions are created, then attached: `create table … partition of` would wait for every reader of the table and block all that
-- follow.
create or replace function archive.make_partitions(job_ids bigint[]) returns void
language plpgsql security definer set search_path = pg_catalog
as $$
declare
  first bigint;
  parent text;
begin
  -- Held until the rows are committed: none is removed between here and there.
  perform from archive.locks where name = 'removal' for share;
  for first in select distinct archive.partition_start(job_id) from unnest(job_ids) as job_id order by 1 loop
    continue when to_regclass(format('archive.jobs_%s', first)) is not null;
    -- The lock that attaching takes. Readers and writers go on; a second maker waits, and then sees what the first has made.
    lock table archive.jobs in share update exclusive mode;
    continue when to_regclass(format('archive.jobs_%s', first)) is not null;
    for parent in
      select relname from pg_class where relnamespace = 'archive'::regnamespace and relkind = 'p' order by relname
    loop
      execute format('create table archive.%I (like archive.%I including all)', format('%s_%s', parent, first), parent);
      execute format('alter table archive.%I attach partition archive.%I for values from (%s) to (%s)',
        parent, format('%s_%s', parent, first), first, first + archive.partition_width(first));
    end loop;
  end loop;
end
$$;
comment on function archive.make_partitions is 'Makes the partitions that these jobs'' rows go to, where they are not there. Call it in the transaction that writes the rows, before that. Idempotent.';
