-- Which rows the views show to which auditor. Each table that a view reads has its own policy. Postgres evaluates policies before a
-- query's conditions, so a condition with side effects never sees a foreign row, and a new view is limited automatically.
-- https://www.postgresql.org/docs/current/ddl-rowsecurity.html

-- What the current session may see: views/current_reader.sql.
grant select on archive.current_reader to actions_archive_views;

-- Created once, because creating or enabling a policy locks the table against readers. To change a rule, change archive.current_reader, or drop
-- the policies in a migration. A subquery on archive.current_reader is evaluated once per query, on first use. A multirange is tested by binary
-- search. With `in (select …)` the planner charged each index scan for the list, and audit.coverage took 2.0 s instead of 0.3 s.
do $$
declare
  read_by_views record;
  visible text;
begin
  for read_by_views in
    select distinct
      tables.oid, tables.relname as name, tables.relrowsecurity,
      exists (select from pg_attribute where attrelid = tables.oid and attname = 'repository_id') as has_repository_id,
      exists (select from pg_attribute where attrelid = tables.oid and attname = 'job_id') as has_job_id,
      exists (select from pg_policy where polrelid = tables.oid and polname = 'auditors') as has_policy
    from pg_class as views
    join pg_rewrite on ev_class = views.oid
    join pg_depend on classid = 'pg_rewrite'::regclass and objid = pg_rewrite.oid and refclassid = 'pg_class'::regclass
    join pg_class as tables on tables.oid = refobjid
    where views.relnamespace = 'audit'::regnamespace and tables.relnamespace = 'archive'::regnamespace and tables.relkind in ('r', 'p')
  loop
    execute format('grant select on archive.%I to actions_archive_views', read_by_views.name);
    visible := case
      when read_by_views.name = 'identity' then 'true'
      -- audit.seals has its own condition. Other views show only a seal's number.
      when read_by_views.name in ('seals', 'sealing') then 'true'
      -- It contains counts over all owners.
      when read_by_views.name = 'removals' then 'false'
      -- Only if every repository is visible, since asked_for names all of them.
      when read_by_views.name = 'backfill_steps' then 'repository_ids <> ''{}'' and (select bool_and(id <@ (select repositories from archive.current_reader)) from unnest(repository_ids) as id)'
      when read_by_views.name in ('unreadable_repositories', 'retention_policies') then 'lower(split_part(name, ''/'', 1)) = any ((select owners from archive.current_reader)::text[])'
      when read_by_views.name = 'backfills' then 'exists (select from archive.backfill_repositories as work where work.backfill_id = backfills.backfill_id)'
      when read_by_views.has_repository_id then 'repository_id <@ (select repositories from archive.current_reader)'
      when read_by_views.has_job_id then format('exists (select from archive.jobs where jobs.job_id = %I.job_id)', read_by_views.name)
    end;
    if visible is null then
      raise exception 'archive.% is read by a view of schema audit, but 3_policies.sql has no rule for its rows: add one', read_by_views.name;
    end if;
    if not read_by_views.has_policy then
      execute format(
        'create policy auditors on archive.%I for select to actions_archive_views using ((select sees_all from archive.current_reader) or %s)',
        read_by_views.name, visible);
      execute format('create policy workers on archive.%I to actions_archive_writer using (true) with check (true)', read_by_views.name);
      execute format('alter table archive.%I enable row level security', read_by_views.name);
    end if;
  end loop;
end
$$;
