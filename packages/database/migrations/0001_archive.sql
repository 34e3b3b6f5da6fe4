-- The archive that the database belongs to, who may see which owners of it, and the locks of its processes.
create schema if not exists archive;
comment on schema archive is 'Tables of Actions Archive: free to change. Ask the views in schema audit.';

create table archive.identity (
  singleton boolean primary key default true check (singleton),
  archive_id uuid not null,
  host text not null,
  created_at timestamptz not null default now()
);
comment on table archive.identity is 'Which archive this database belongs to; equals archive.json in the store.';
comment on column archive.identity.singleton is 'Always true: there is one row.';
comment on column archive.identity.archive_id is 'The random id of the archive, as in archive.json.';
comment on column archive.identity.host is 'The GitHub host that is archived, as it stands in keys.';
comment on column archive.identity.created_at is 'When the archive claimed this database, by the database''s clock.';

create table archive.auditor_owners (
  role text not null,
  owner text not null check (owner <> '' and owner !~ '/'),
  primary key (role, owner)
);
comment on table archive.auditor_owners is 'Which owners a member of actions_archive_limited_auditor sees: those of its own name and of each role that it is a member of. Without a row it sees nothing.';
comment on column archive.auditor_owners.role is 'Name of a login, or of a role that logins are members of.';
comment on column archive.auditor_owners.owner is 'An owner at GitHub: what stands before the slash of a repository''s current full name. Case does not count.';

-- An advisory lock is open to every role that can connect: an auditor could stop sealing, loading, removal and migration with one call
-- of pg_advisory_lock. A row of this table is open to this archive's own roles alone.
create table archive.locks (
  name text primary key
);
comment on table archive.locks is 'A row for each thing that one process does at a time: who does it holds the row with `for update` in a transaction. Auditors have no right to this table.';
comment on column archive.locks.name is 'sealing: one seal is made and put. seals: the chain in the database changes. rebuild: the database is rebuilt. removal: partitions are made (shared) or removed. reread N: an archived log is read again, of a job whose id leaves N when it is divided by 256.';

insert into archive.locks (name) values ('sealing'), ('seals'), ('rebuild'), ('removal');
-- Rereads share 256 rows, by the last byte of the job's id: a row per job would have to be inserted first.
insert into archive.locks (name) select 'reread ' || bucket from generate_series(0, 255) as bucket;
