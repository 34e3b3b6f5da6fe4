-- Roles belong to the whole server, advisory locks to one database: two archives on one server that migrate at once meet here.
-- Who comes second waits for the first's transaction, and finds that the role or the membership is there.
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

  -- A writer reads the views, and sees all owners, since it is a member of the auditor. Who migrates hands objects to the others.
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
      -- Not 'member': from version 16 on, who creates a role is a member that has none of its rights.
      if not pg_has_role(edge.member, edge.granted, 'usage') then
        execute format('grant %I to %I', edge.granted, edge.member);
      end if;
    exception when duplicate_object or unique_violation then null;
    end;
  end loop;
end
$$;
