-- How far a rebuild of this database from the store has come, and what it could not use.

create table archive.rebuild (
  singleton boolean primary key default true check (singleton),
  archive_id uuid not null,
  phase text not null default 'seals' check (phase in ('seals', 'records', 'ledger', 'closing', 'done')),
  position text not null default '',
  objects_listed bigint,
  objects_read bigint not null default 0 check (objects_read >= 0),
  jobs bigint not null default 0 check (jobs >= 0),
  seconds double precision not null default 0 check (seconds >= 0),
  began_at timestamptz not null default now(),
  ended_at timestamptz,
  check ((phase = 'done') = (ended_at is not null))
);
comment on table archive.rebuild is 'How far `rebuild` has come. No row: this database was never rebuilt.';
comment on column archive.rebuild.singleton is 'Always true: one row.';
comment on column archive.rebuild.archive_id is 'The archive of the store that it is rebuilt from.';
comment on column archive.rebuild.phase is 'What is done next: seals (the chain), records (run records and records, run by run), ledger (what the seals say of windows and attempts), closing, done.';
comment on column archive.rebuild.position is 'In that phase: the sequence of the last seal, or repository_id/run_id/ of the last run. Empty at its beginning.';
comment on column archive.rebuild.objects_listed is 'Records and run records in the store when they were counted; null until then.';
comment on column archive.rebuild.objects_read is 'How many of them were read.';
comment on column archive.rebuild.jobs is 'Jobs that were loaded.';
comment on column archive.rebuild.seconds is 'How long all its calls worked until the last position.';
comment on column archive.rebuild.began_at is 'When it began, by the database''s clock.';
comment on column archive.rebuild.ended_at is 'When it ended, by the database''s clock; null while there is more to do.';

create table archive.rebuild_refusals (
  object_key text collate "C" primary key,
  problem text not null,
  refused_at timestamptz not null default now()
);
comment on table archive.rebuild_refusals is 'Objects of the store that `rebuild` passed over.';
comment on column archive.rebuild_refusals.object_key is 'Key in the store, under the prefix of ARCHIVE_URL.';
comment on column archive.rebuild_refusals.problem is 'Why, in words for people.';
comment on column archive.rebuild_refusals.refused_at is 'When, by the database''s clock.';
