-- A removal counts for a verifier once a seal carries it: a row alone could excuse any deletion of rows.
alter table archive.removals add column sealed_in bigint;
comment on column archive.removals.sealed_in is 'Sequence of the seal that carries it as it is now; null while it waits for one.';

-- A trigger, so that every version of archive.remove_runs_before has it: a second removal up to the same instant changes the counts.
create function archive.unseal_removal() returns trigger
language plpgsql set search_path = pg_catalog
as $$
begin
  new.sealed_in := null;
  return new;
end
$$;
comment on function archive.unseal_removal is 'A removal whose counts change waits for a seal again.';
create trigger removals_unseal before update on archive.removals
  for each row when ((old.removed_at, old.runs, old.jobs, old.closed_gaps) is distinct from (new.removed_at, new.runs, new.jobs, new.closed_gaps))
  execute function archive.unseal_removal();

-- Where no trusted key signed a seal, its policies and released holds are not taken over: a verifier must not miss them.
alter table archive.seals add column is_vouched_for boolean not null default true;
comment on column archive.seals.is_vouched_for is 'False for a seal that was taken over from the store without a key that stands for the chain: its policies and released holds were not taken over, and no log goes by its tombstones.';
