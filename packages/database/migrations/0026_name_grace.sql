-- A policy counts under a repository's new name only a week after this archive itself saw the name. named_at orders names, and a
-- webhook's payload sets it: it can lie in the past.
alter table archive.repositories add column name_seen_at timestamptz;
comment on column archive.repositories.name_seen_at is 'When this archive first saw the current name, by the database''s clock; a policy that governs by it counts a week later. Null: the name under which the repository was found, which counts at once.';
comment on column archive.repositories.named_at is 'When the repository had its current name, as what reported it says: an older webhook does not bring an old name back. It decides nothing else. Null when the name never changed.';
-- When these names were seen is not known any more.
update archive.repositories set name_seen_at = now() where named_at > first_seen_at;
