-- Which owners' rows a limited auditor sees.
create table archive.auditor_owners (
  role text not null,
  owner text not null check (owner <> '' and owner !~ '/'),
  primary key (role, owner)
);
comment on table archive.auditor_owners is 'Which owners a member of actions_archive_limited_auditor sees: those of its own name and of each role that it is a member of. Without a row it sees nothing.';
comment on column archive.auditor_owners.role is 'Name of a login, or of a role that logins are members of.';
comment on column archive.auditor_owners.owner is 'An owner at GitHub: what stands before the slash of a repository''s current full name. Case does not count.';
