-- The auditor reads the views and nothing else, and cannot write.
do $$
begin
  if not exists (select from pg_roles where rolname = 'actions_archive_auditor') then
    create role actions_archive_auditor nologin;
  end if;
exception when insufficient_privilege or duplicate_object or unique_violation then
  raise notice 'role actions_archive_auditor was not created here: %', sqlerrm;
end
$$;
do $$
begin
  if exists (select from pg_roles where rolname = 'actions_archive_auditor') then
    grant usage on schema audit to actions_archive_auditor;
    grant select on all tables in schema audit to actions_archive_auditor;
  end if;
end
$$;
