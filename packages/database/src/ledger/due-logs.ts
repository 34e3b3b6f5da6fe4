// Selects the logs that the feeder enqueues next. The ledger may owe millions, so each repository's lanes are read from the front of an
// index, up to the free room.

import { sql } from "kysely";

import type { Database } from "../connection/open-database.ts";

export type FeedState = {
  /** Jobs that wait or run in the queue now. */
  readonly queued: readonly number[];
  /** Maximum number of queued jobs per credential. */
  readonly maxPerCredential: number;
};

/**
 * Jobs whose log is due and not queued, most urgent first: logs that expire within 48 hours; live jobs, newest first; failed logs and
 * rechecks; backfilled jobs by expiry, with those that must have expired last. As many as there is room for per credential. Excludes
 * paused credentials and paused backfills.
 */
export async function listDueLogs(db: Database, { queued, maxPerCredential }: FeedState): Promise<number[]> {
  const { rows } = await sql<{ job_id: number }>`
    with queued as (
      select coalesce(credential, '') as credential, count(*)::integer as jobs
      from archive.log_jobs
      join archive.repositories using (repository_id)
      where job_id = any(${sql.val(queued)}::bigint[])
      group by 1
    ),
    open_repositories as (
      select repository_id, coalesce(repositories.credential, '') as credential, ${maxPerCredential}::integer - coalesce(queued.jobs, 0) as room
      from archive.repositories
      left join archive.credentials using (credential)
      left join queued on queued.credential = coalesce(repositories.credential, '')
      where (paused_until is null or paused_until <= now()) and coalesce(queued.jobs, 0) < ${maxPerCredential}
    ),
    due as (
      select open_repositories.credential, open_repositories.room, in_lanes.*
      from open_repositories
      cross join lateral (${lanes(queued)}) as in_lanes
    )
    select job_id
    from (select *, row_number() over (partition by credential order by lane, place, job_id) as turn from due) as turns
    where turn <= room
    order by lane, place, job_id
  `.execute(db);
  return rows.map(({ job_id }) => job_id);
}

// A lane is a range of one index in its own order. No job is in two lanes.
function lanes(queued: readonly number[]) {
  const isFree = sql`
    log_jobs.repository_id = open_repositories.repository_id
    and due_at <= now()
    and job_id <> all(${sql.val(queued)}::bigint[])
    and (backfill_id is null or backfill_id <> all(array(select backfill_id from archive.backfills where state = 'paused')))`;
  const isUrgent = sql`expires_at > now() and expires_at <= now() + interval '48 hours'`;
  return sql`
    (select job_id, 1 as lane, extract(epoch from expires_at) as place
      from archive.log_jobs
      where log_state = 'pending' and ${isUrgent} and ${isFree}
      order by expires_at limit open_repositories.room)
    union all
    (select job_id, 2, -extract(epoch from completed_at)
      from archive.log_jobs
      where log_state = 'pending' and backfill_id is null and (${isUrgent}) is not true and ${isFree}
      order by completed_at desc nulls last limit open_repositories.room)
    union all
    (select job_id, 3, extract(epoch from due_at)
      from archive.log_jobs
      where log_state = 'failed' and ${isFree}
      order by due_at limit open_repositories.room)
    union all
    (select job_id, 3, extract(epoch from recheck_at)
      from archive.log_jobs
      where recheck_at <= now() and log_state not in ('pending', 'failed') and log_jobs.repository_id = open_repositories.repository_id
        and job_id <> all(${sql.val(queued)}::bigint[])
      order by recheck_at limit open_repositories.room)
    union all
    (select job_id, 4, extract(epoch from expires_at)
      from archive.log_jobs
      where log_state = 'pending' and backfill_id is not null and expires_at > now() + interval '48 hours' and ${isFree}
      order by expires_at limit open_repositories.room)
    union all
    (select job_id, 5, -extract(epoch from expires_at)
      from archive.log_jobs
      where log_state = 'pending' and backfill_id is not null and (expires_at <= now() or expires_at is null) and ${isFree}
      order by expires_at desc nulls last limit open_repositories.room)`;
}
