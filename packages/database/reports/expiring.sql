-- What GitHub will delete next, and whether it is archived.
--
-- One row per repository and day of expiry; days with pending or failed logs first. `missing-logs` lists these logs.
--
-- Parameters:
--   within <days>  logs that expire within this number of days; 7 unless given
--   repository <owner/name>  only logs of this repository; the name is case-sensitive
--   limit <number>  maximum number of rows
-- Columns:
--   expires_on  the day (UTC) on which GitHub's known retention removes the logs
--   repository  the current owner/name
--   logs  number of logs
--   archived, absent, pending, failed  number of them in each state
--   first_owed_expires_at, first_owed_job_id  the pending or failed log that expires first; null if there is none
-- Cannot know:
--   Changes of the retention since the repository was last checked. Logs that are deleted earlier.
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
