-- All privileges of each role. Those of an earlier version that are not granted here are revoked.

-- The views' owner has no login and owns no table, so that the policies apply to every reader of a view.
grant create on schema audit to actions_archive_views;
do $$
declare
  view_name text;
begin
  for view_name in select viewname from pg_views where schemaname = 'audit' loop
    execute format('alter view audit.%I owner to actions_archive_views', view_name);
  end loop;
end
$$;
revoke create on schema audit from actions_archive_views;

grant usage on schema audit to actions_archive_auditor, actions_archive_limited_auditor;
grant select on all tables in schema audit to actions_archive_auditor, actions_archive_limited_auditor;

-- Only the workers and the views' owner read tables. Partitions are accessed through their parents.
revoke all on all tables in schema archive from actions_archive_views, actions_archive_writer;
grant usage on schema archive to actions_archive_views, actions_archive_writer;
do $$
declare
  archive_table regclass;
  -- Rows of finished work, and of listings that a newer one replaces. A window is deleted when it is merged into a wider one.
  replaced constant text[] := array[
    'action_uses', 'annotations', 'credential_holders', 'deliveries', 'full_seconds', 'log_facts', 'log_leases', 'permissions',
    'sections', 'unreadable_repositories', 'unusable_objects', 'window_checks', 'windows'
  ];
begin
  for archive_table in
    select pg_class.oid::regclass
    from pg_class
    where relnamespace = 'archive'::regnamespace and relkind in ('r', 'p') and not relispartition
      and relname not in ('migrations', 'migrations_lock', 'identity', 'auditor_owners')
  loop
    execute format('grant select, insert, update on %s to actions_archive_writer', archive_table);
  end loop;
  for archive_table in
    select pg_class.oid::regclass from pg_class where relnamespace = 'archive'::regnamespace and relname = any (replaced)
  loop
    execute format('grant delete on %s to actions_archive_writer', archive_table);
  end loop;
end
$$;
revoke execute on function archive.make_partitions(bigint[]) from public;
grant execute on function archive.make_partitions(bigint[]) to actions_archive_writer;
-- The only function that deletes attempts of the ledger.
revoke execute on function archive.retract_attempts(bigint, integer) from public;
grant execute on function archive.retract_attempts(bigint, integer) to actions_archive_writer;
grant select, insert on archive.identity to actions_archive_writer;
grant select on archive.migrations to actions_archive_writer;

-- Readers of views need no temporary tables or functions; BullMQ adds jobs through temporary tables. If another role owns the
-- database, that owner decides.
do $$
begin
  if pg_has_role((select datdba from pg_database where datname = current_database()), 'usage') then
    execute format('revoke temporary on database %I from public', current_database());
    execute format('grant temporary on database %I to actions_archive_writer', current_database());
  end if;
end
$$;
