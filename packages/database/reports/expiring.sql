-- What GitHub will delete next, and whether it is archived.
--
-- A row for each repository and day of expiry; days with logs that are still owed first. `missing-logs` lists those one by one.
--
-- Parameters:
--   within <days>  logs that expire in so many days from now; 7 unless given
--   repository <owner/name>  logs of this repository alone, by its name as GitHub writes it
--   limit <number>  so many rows at most
-- Columns:
--   expires_on  the day (UTC) on which GitHub's retention removes the logs, as far as we know
--   repository  the current owner/name
--   logs  how many logs expire
--   archived, absent, pending, failed  what became of them here
--   first_owed_expires_at, first_owed_job_id  the pending or failed log that expires first; null where none is owed
-- Cannot know:
--   Retention that was changed since the repository was last looked at; logs that somebody deletes earlier.
-- Examples:
--   actions-archive report expiring --within 3

\if :{?within}
\else
  \set within 7
\endif
\if :{?repository}
\else
  \set repository ''
\endif
\if :{?limit}
\else
  \set limit 10000
\endif

select
  (expires_at at time zone 'UTC')::date as expires_on,
  repository,
  count(*) as logs,
  count(*) filter (where log_state = 'archived') as archived,
  count(*) filter (where log_state = 'absent') as absent,
  count(*) filter (where log_state = 'pending') as pending,
  count(*) filter (where log_state = 'failed') as failed,
  min(expires_at) filter (where log_state in ('pending', 'failed')) as first_owed_expires_at,
  (array_agg(job_id order by expires_at, job_id) filter (where log_state in ('pending', 'failed')))[1] as first_owed_job_id
from audit.jobs
where expires_at >= now()
  and expires_at < now() + make_interval(days => :'within'::integer)
  and (:'repository' = '' or repository = :'repository')
group by 1, 2
order by count(*) filter (where log_state in ('pending', 'failed')) = 0, expires_on, repository
limit :'limit'::bigint;
