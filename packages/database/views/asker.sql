-- Not of schema audit: policies stand on it, and a view.
-- Both must allow it: the login, which `set role` and functions with another's rights do not change, and the role that a
-- connection pool took on for its client. Neither can be claimed, as a setting could.
create or replace view archive.asker as
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
comment on view archive.asker is 'Who asks now, one row. What the policies of the tables read.';
comment on column archive.asker.sees_all is 'True when the login and the current role are both members of actions_archive_auditor.';
comment on column archive.asker.owners is 'The owners that both may see, in lower case, by archive.auditor_owners.';
comment on column archive.asker.repositories is 'The ids of these owners'' repositories, by their current names; null when there is none.';
