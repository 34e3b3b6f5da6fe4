-- A second removal up to the same instant changes the counts of a row that a seal may carry already.
create or replace function archive.unseal_removal() returns trigger
language plpgsql set search_path = pg_catalog
as $$
begin
  new.sealed_in := null;
  return new;
end
$$;
comment on function archive.unseal_removal is 'A removal whose counts change waits for a seal again.';

create or replace trigger removals_unseal before update on archive.removals
  for each row when ((old.removed_at, old.runs, old.jobs, old.closed_gaps) is distinct from (new.removed_at, new.runs, new.jobs, new.closed_gaps))
  execute function archive.unseal_removal();
