-- The owners that the current session may see. In schema archive, since policies depend on it.
-- Both the login and the current role must be allowed: `set role` and security definer functions do not change the login, and a
-- connection pool sets the role for its client. Unlike a setting, neither can be forged.
create or replace view archive.current_reader as
select
  asking.sees_all,
  asking.owners,
  (
    select range_agg(int8range(repository_id, repository_id, '[]'))
    from archive.repositories
    where lower(split_part(full_name, '/', 1)) = any (asking.owners)
  ) as repositories
from (
  select
    pg_has_role(session_user, 'actions_archive_auditor', 'member')
      and pg_has_role(current_user, 'actions_archive_auditor', 'member') as sees_all,
    array(
      select lower(owner)
      from archive.auditor_owners
      join pg_roles on pg_roles.rolname = auditor_owners.role
      group by lower(owner)
      having (
        pg_has_role(session_user, 'actions_archive_auditor', 'member')
        or bool_or(pg_has_role(session_user, pg_roles.oid, 'member'))
      ) and (
        pg_has_role(current_user, 'actions_archive_auditor', 'member')
        or bool_or(pg_has_role(current_user, pg_roles.oid, 'member'))
      )
    ) as owners
) as asking;
comment on view archive.current_reader is 'What the current session may see, one row. The policies of the tables read it.';
comment on column archive.current_reader.sees_all is 'True if the login and the current role are members of actions_archive_auditor.';
comment on column archive.current_reader.owners is 'Owners in archive.auditor_owners that both may see, in lower case.';
comment on column archive.current_reader.repositories is 'Ids of these owners'' repositories, by current name; null if none.';
