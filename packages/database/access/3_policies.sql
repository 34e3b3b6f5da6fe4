-- Which rows the views show, to whom. Each table that a view reads has a policy of its own, so that a condition with side effects,
-- which Postgres runs after policies, never meets a foreign row, and a new view cannot forget to limit itself.
-- https://www.postgresql.org/docs/current/ddl-rowsecurity.html

-- Who asks is archive.asker, in views/asker.sql.
grant select on archive.asker to actions_archive_views;

-- Made once: enabling and creating lock a table against its readers. A rule that changes does so in archive.asker, or in a migration
-- that drops the policies. What is selected from it is evaluated once a query, when it is first needed. A range holds an id or not
-- by binary search; `in (select …)` let the planner charge each index scan for the list, and audit.coverage took 2.0 s instead of 0.3.
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
      -- audit.seals limits itself; of the others a seal gives its number alone.
      when read_by_views.name in ('seals', 'sealing') then 'true'
      -- Counts over all owners.
      when read_by_views.name = 'removals' then 'false'
      -- A backfill of which every repository is visible: asked_for names all of them.
      when read_by_views.name = 'backfill_steps' then 'repository_ids <> ''{}'' and (select bool_and(id <@ (select repositories from archive.asker)) from unnest(repository_ids) as id)'
      when read_by_views.name in ('unreadable_repositories', 'retention_policies') then 'lower(split_part(name, ''/'', 1)) = any ((select owners from archive.asker)::text[])'
      when read_by_views.name = 'backfills' then 'exists (select from archive.backfill_repositories as work where work.backfill_id = backfills.backfill_id)'
      when read_by_views.has_repository_id then 'repository_id <@ (select repositories from archive.asker)'
      when read_by_views.has_job_id then format('exists (select from archive.jobs where jobs.job_id = %I.job_id)', read_by_views.name)
    end;
    if visible is null then
      raise exception 'archive.% is read by a view of audit, and nothing says whose rows they are', read_by_views.name;
    end if;
    if not read_by_views.has_policy then
      execute format(
        'create policy auditors on archive.%I for select to actions_archive_views using ((select sees_all from archive.asker) or %s)',
        read_by_views.name, visible);
      execute format('create policy workers on archive.%I to actions_archive_writer using (true) with check (true)', read_by_views.name);
      execute format('alter table archive.%I enable row level security', read_by_views.name);
    end if;
  end loop;
end
$$;
