-- What the run object of an attempt says of that attempt alone: archive.runs has only the newest one's.
alter table archive.attempts
  add column actor text,
  add column triggering_actor text,
  add column pull_request_numbers bigint[],
  add column head_repository text;
comment on column archive.attempts.actor is 'Login of who triggered the run, by the object of this attempt; null where that lacks it, and until the attempt itself was seen.';
comment on column archive.attempts.triggering_actor is 'Login of who triggered this attempt, by its own object; null where that lacks it, and until the attempt itself was seen.';
comment on column archive.attempts.pull_request_numbers is 'Numbers of the open pull requests that GitHub names in the object of this attempt; null where that lacks them, and until the attempt itself was seen.';
comment on column archive.attempts.head_repository is 'owner/name of the repository that the commit is from, a fork or the repository itself; null where the object lacks it, as after a fork was deleted, and until the attempt itself was seen.';

-- As src/attempt-fields.ts reads an object. What Postgres cannot read of an object as text stays null.
create function archive.run_fields(object json, out actor text, out triggering_actor text, out pull_request_numbers bigint[], out head_repository text)
language plpgsql immutable set search_path = pg_catalog
as $$
declare
  fields jsonb;
begin
  fields := replace(object::text, '\u0000', '\ufffd')::jsonb;
  actor := fields #>> '{actor,login}';
  triggering_actor := fields #>> '{triggering_actor,login}';
  head_repository := fields #>> '{head_repository,full_name}';
  if jsonb_typeof(fields -> 'pull_requests') = 'array' then
    pull_request_numbers := array(
      select number::bigint
      from jsonb_path_query(fields, 'lax $.pull_requests[*].number ? (@.type() == "number" && @ > 0 && @ <= 9007199254740991)') as number
      where number::numeric = trunc(number::numeric)
    );
  end if;
exception when others then
  return;
end
$$;
update archive.attempts set (actor, triggering_actor, pull_request_numbers, head_repository) = (
  select fields.actor, fields.triggering_actor, fields.pull_request_numbers, fields.head_repository
  from archive.run_fields(attempts.object) as fields
)
where object is not null;
drop function archive.run_fields(json);
