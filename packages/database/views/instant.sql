-- What the reports and the program's options take for a time. No `set` clause: Postgres then puts the expression in the place of
-- the call, and plans with the time itself.
create function audit.instant(moment text) returns timestamptz
language sql stable parallel safe
return case
  when moment ~ '^\d+$' then now() - make_interval(days => moment::integer)
  when moment ~ '^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?)?$' then moment::timestamp at time zone 'UTC'
  else moment::timestamptz
end;

comment on function audit.instant(text) is 'A number of days before now, or a date or time, which is in UTC where it names no zone; infinity and -infinity.';
