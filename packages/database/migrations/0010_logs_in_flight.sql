create table archive.logs_in_flight (
  job_id bigint primary key references archive.obligations,
  worker text,
  deaths integer not null default 0 check (deaths >= 0),
  raw_sha256 text,
  raw_bytes bigint
);
create index logs_in_flight_raw_sha256_idx on archive.logs_in_flight (raw_sha256) where raw_sha256 is not null;
comment on table archive.logs_in_flight is 'Logs that a worker began with, until their record is loaded.';
comment on column archive.logs_in_flight.worker is 'The process that works on the log now; what another process finds here has died with its work.';
comment on column archive.logs_in_flight.deaths is 'How many workers died while they worked on this log.';
comment on column archive.logs_in_flight.raw_sha256 is 'Of the log as it was read, lower-case hex: what its record will say, before it is loaded.';
