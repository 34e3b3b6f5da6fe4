-- Functions that create and drop an auditor's login, and that run a statement as the auditor.

create or replace function archive.create_auditor(login text, owners text[]) returns void
language plpgsql as $$
declare
  setting text;
  wanted constant text := case when owners is null then 'actions_archive_auditor' else 'actions_archive_limited_auditor' end;
  unwanted constant text := case when owners is null then 'actions_archive_limited_auditor' else 'actions_archive_auditor' end;
begin
  if not exists (select from pg_roles where rolname = login) then
    execute format('create role %I login connection limit 10', login);
  elsif not exists (
    select from pg_auth_members
    where member = quote_ident(login)::regrole and roleid in ('actions_archive_auditor'::regrole, 'actions_archive_limited_auditor'::regrole)
  ) then
    raise exception 'role "%" exists and is not an auditor', login;
  end if;
  -- Members do not inherit a role's settings, so each login has its own. The login may change them: they prevent accidents and bad
  -- plans, and are no protection. A join of two views has up to 12 tables, over the default collapse limit of 8: 2.3 s instead of
  -- 0.1 s at 300,000 jobs. JIT compilation took longer than execution.
  foreach setting in array array[
    'default_transaction_read_only = on', 'statement_timeout = ''60s''', 'idle_in_transaction_session_timeout = ''60s''',
    'search_path = audit', 'timezone = ''UTC''', 'jit = off', 'join_collapse_limit = 16', 'from_collapse_limit = 16'
  ] loop
    execute format('alter role %I set %s', login, setting);
  end loop;
  delete from archive.auditor_owners where role = login;
  if exists (select from pg_auth_members where member = quote_ident(login)::regrole and roleid = unwanted::regrole) then
    execute format('revoke %I from %I', unwanted, login);
  end if;
  execute format('grant %I to %I', wanted, login);
  if owners is not null then
    insert into archive.auditor_owners (role, owner) select distinct login, owner from unnest(owners) as owner;
    -- Through a group, or through another role's grant.
    if pg_has_role(login, 'actions_archive_auditor', 'member') then
      raise exception 'role "%" cannot be limited to owners: it is still a member of actions_archive_auditor, through another role or grant', login;
    end if;
  end if;
end
$$;
comment on function archive.create_auditor(text, text[]) is 'Creates a login that reads the views of these owners, or of all if owners is null, or changes an existing one. Sets no password: use \password of psql.';

create or replace function archive.drop_auditor(login text) returns void
language plpgsql as $$
begin
  if not exists (
    select from pg_auth_members
    where member = quote_ident(login)::regrole and roleid in ('actions_archive_auditor'::regrole, 'actions_archive_limited_auditor'::regrole)
  ) then
    raise exception 'role "%" is not an auditor', login;
  end if;
  delete from archive.auditor_owners where role = login;
  execute format('drop role %I', login);
end
$$;
comment on function archive.drop_auditor(text) is 'Drops an auditor''s login. Open sessions remain: end them with pg_terminate_backend.';

revoke execute on function archive.create_auditor(text, text[]), archive.drop_auditor(text) from public;

-- A security definer function cannot change its role by any means, and a loop over EXECUTE accepts exactly one statement that returns
-- rows.
-- https://www.postgresql.org/docs/current/sql-createfunction.html#SQL-CREATEFUNCTION-SECURITY
create or replace function archive.answer_rows_as_auditor(statement text, bound text[])
returns table (columns text[], answer json, printed text)
language plpgsql security definer set search_path = audit, pg_temp set join_collapse_limit = 16 set from_collapse_limit = 16 set jit = off as $$
declare
  found_row record;
begin
  for found_row in execute statement using bound loop
    answer := to_json(found_row);
    printed := found_row::text;
    -- Only in the first row: all rows have the same columns.
    columns := case when columns is null then array(select json_object_keys(answer)) else '{}' end;
    return next;
  end loop;
end
$$;
comment on function archive.answer_rows_as_auditor(text, text[]) is 'Rows of one statement, run as actions_archive_auditor, each as JSON and as text; the first row has the column names. bound is $1 of the statement. Call it in a read-only transaction.';
grant create on schema archive to actions_archive_auditor;
alter function archive.answer_rows_as_auditor(text, text[]) owner to actions_archive_auditor;
revoke create on schema archive from actions_archive_auditor;
revoke execute on function archive.answer_rows_as_auditor(text, text[]) from public;
grant execute on function archive.answer_rows_as_auditor(text, text[]) to actions_archive_writer, actions_archive_owner;
drop function if exists archive.answer_as_auditor(text, text[]);
