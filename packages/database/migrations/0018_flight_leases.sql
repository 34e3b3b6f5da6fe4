alter table archive.logs_in_flight add column leased_until timestamptz;
comment on column archive.logs_in_flight.worker is 'The process that works on the log. Once its lease has run out, whoever finds it here counts a death. Null when none does.';
comment on column archive.logs_in_flight.leased_until is 'Until when the worker has the log for itself unless it says so again, by the database''s clock. Null without a worker.';
