-- The auditor reads the views and nothing else, and cannot write. Roles belong to the whole server: several archives on one
-- server share this one, and whoever migrates may become it.
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
    if not pg_has_role(current_user, 'actions_archive_auditor', 'member') then
      execute format('grant actions_archive_auditor to %I', current_user);
    end if;
  end if;
exception when insufficient_privilege then
  raise notice 'the auditor has no grants here: %', sqlerrm;
end
$$;
