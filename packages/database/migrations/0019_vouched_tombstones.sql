alter table archive.tombstones add column is_vouched_for boolean not null default true;
comment on column archive.tombstones.is_vouched_for is 'False where it came out of a chain that no key of ours stood for: then no object is removed for it.';
