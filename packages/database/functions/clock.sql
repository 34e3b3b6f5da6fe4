-- A function of its own, so that tests can replace it.
create or replace function archive.clock() returns timestamptz
language sql volatile as $$ select clock_timestamp() $$;
comment on function archive.clock is 'The database''s clock, which the Date headers of GitHub''s answers are compared with. Tests that simulate time replace it.';
