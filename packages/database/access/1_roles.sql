-- Creates the roles and their memberships. Roles are global to the server, so migrations of two archives can conflict here, and an
-- advisory lock covers one database only. The second transaction waits for the first, then finds the role or membership.
do $$
declare
  wanted text;
  edge record;
begin
  foreach wanted in array array['views', 'auditor', 'limited_auditor', 'writer', 'owner'] loop
    begin
      if not exists (select from pg_roles where rolname = 'actions_archive_' || wanted) then
        execute format('create role %I nologin', 'actions_archive_' || wanted);
      end if;
    exception when duplicate_object or unique_violation then null;
    end;
  end loop;

  -- As a member of the auditor, a writer reads the views of all owners. The migrating role assigns objects to the other roles.
  for edge in
    select * from (values
      ('actions_archive_auditor', 'actions_archive_writer'),
      ('actions_archive_writer', 'actions_archive_owner'),
      ('actions_archive_limited_auditor', 'actions_archive_owner'),
      ('actions_archive_views', 'actions_archive_owner'),
      ('actions_archive_owner', current_user)
    ) as edges (granted, member)
  loop
    begin
      -- Not 'member': since version 16 the creator of a role is a member without its privileges.
      if not pg_has_role(edge.member, edge.granted, 'usage') then
        execute format('grant %I to %I', edge.granted, edge.member);
      end if;
    exception when duplicate_object or unique_violation then null;
    end;
  end loop;
end
$$;
