-- Ids grow with time. A partition is a tenth to a twenty-fifth as wide as its ids are large, so that there are about 30 of them at
-- github.com and on a young server alike: 5,000,000,000 wide in 2026, which is two months.
create or replace function archive.partition_width(job_id bigint) returns bigint
language sql immutable strict parallel safe
as $$
  select greatest(100000, magnitude / case when job_id >= 5 * magnitude then 2 when job_id >= 2 * magnitude then 5 else 10 end)
  from (select power(10::numeric, length(job_id::text) - 1)::bigint) as of_id(magnitude)
$$;
comment on function archive.partition_width is 'How many ids the partition of a job spans.';

create or replace function archive.partition_start(job_id bigint) returns bigint
language sql immutable strict parallel safe
as $$ select job_id - job_id % archive.partition_width(job_id) $$;
comment on function archive.partition_start is 'The smallest id of the partition of a job, which ends each name of it.';
