-- What makes an auditor's login, and what runs a statement as the auditor.

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
  -- A role's settings do not pass to its members: each login has its own. It may change them: they keep accidents away, and plans
  -- good. Two views joined are up to 12 tables, more than the 8 that Postgres orders by itself: 2.3 s instead of 0.1 at 300,000 jobs.
  -- Compiling a plan took longer than running it.
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
    -- By a group of which it is a member, or by a grant that is another's to revoke.
    if pg_has_role(login, 'actions_archive_auditor', 'member') then
      raise exception 'role "%" cannot be limited: it is a member of actions_archive_auditor', login;
    end if;
  end if;
end
$$;
comment on function archive.create_auditor(text, text[]) is 'Makes a login that reads the views: of these owners, or of all when owners is null. Called again, it changes the owners. Sets no password: use \password of psql.';

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
comment on function archive.drop_auditor(text) is 'Takes an auditor''s login away. Sessions of it that are open end with pg_terminate_backend.';

revoke execute on function archive.create_auditor(text, text[]), archive.drop_auditor(text) from public;

-- In a function with another's rights Postgres lets nobody become another role, by whatever means, and a loop over EXECUTE takes one
-- statement that answers with rows, and no other.
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
    -- Of the first row only: all have the same.
    columns := case when columns is null then array(select json_object_keys(answer)) else '{}' end;
    return next;
  end loop;
end
$$;
comment on function archive.answer_rows_as_auditor(text, text[]) is 'The rows of one statement, with the rights of actions_archive_auditor, each as JSON and as Postgres prints it; the first one names the columns. $1 of the statement is bound. Call it in a read-only transaction.';
grant create on schema archive to actions_archive_auditor;
alter function archive.answer_rows_as_auditor(text, text[]) owner to actions_archive_auditor;
revoke create on schema archive from actions_archive_auditor;
revoke execute on function archive.answer_rows_as_auditor(text, text[]) from public;
grant execute on function archive.answer_rows_as_auditor(text, text[]) to actions_archive_writer, actions_archive_owner;
drop function if exists archive.answer_as_auditor(text, text[]);
