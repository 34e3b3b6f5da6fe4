// Repositories that a pass polls once more: those with ended but unlisted attempts, or with spans that GitHub showed incompletely,
// while these are retried soon.

import { sql } from "kysely";

import type { Database } from "../connection/open-database.ts";

export type Recheck = {
  repository_id: number;
  full_name: string;
  /** Seconds until its first check is due, by the database's clock; 0 if one is due. */
  due_in_seconds: number;
};

/**
 * Matches attempts that have ended, or whose check failed, and whose next check is soon. Excludes attempts that completed moments ago,
 * and those that are gaps of their own. For a query of `archive.attempts` with `archive.runs`.
 */
export const isLagging = sql<boolean>`attempts.state = 'open'
  and (attempts.status = 'completed' or attempts.run_attempt < runs.run_attempt or check_reason is not null)
  and check_reason is distinct from 'settling' and attempts.incomplete_since is null`;

/** Matches spans that are listed again soon. For a query of `archive.window_checks`. */
export const isWindowIncomplete = sql<boolean>`window_checks.reason = 'incomplete' and window_checks.incomplete_since is null`;

/** Selected repositories that need another poll, first due first. Excludes attempts of backfills, which check their own. */
export async function listRechecks(db: Database): Promise<Recheck[]> {
  const { rows } = await sql<Recheck>`
    select repository_id, full_name, greatest(0, extract(epoch from min(due_at) - now()))::float8 as due_in_seconds
    from (
      select attempts.repository_id, check_due_at as due_at
      from archive.attempts
      join archive.runs using (run_id)
      left join archive.backfills using (backfill_id)
      where ${isLagging} and (backfills.state is null or backfills.state not in ('running', 'paused'))
      union all
      select repository_id, due_at from archive.window_checks where ${isWindowIncomplete}
    ) as checks
    join archive.repositories using (repository_id)
    where is_selected
    group by repository_id, full_name
    order by due_in_seconds, repository_id
  `.execute(db);
  return rows;
}
