-- Parses the times of reports and options. Without a `set` clause Postgres inlines the function and plans with the constant time.
create function audit.parse_time(moment text) returns timestamptz
language sql stable parallel safe
return case
  when moment ~ '^\d+$' then now() - make_interval(days => moment::integer)
  when moment ~ '^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?)?$' then moment::timestamp at time zone 'UTC'
  else moment::timestamptz
end;

comment on function audit.parse_time(text) is 'Parses a number of days before now, or a date or time (UTC unless it has a zone), or infinity and -infinity.';
