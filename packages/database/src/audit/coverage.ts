// A summary of audit.coverage and audit.gaps per repository, for `status`.

import { sql } from "kysely";

import type { Database } from "../connection/open-database.ts";

export type RepositoryCoverage = {
  repository: string;
  /** Runs created at or after this time, and before `covered_until`, are listed, except for gaps. Null before the first scan. */
  covered_from: Date | null;
  covered_until: Date | null;
  /** No gaps: each row of audit.coverage is complete, and the rows are contiguous. */
  complete: boolean;
  /** Number of gaps of each kind. */
  gaps: Record<string, number>;
  problem: string | null;
  polled_at: Date | null;
  poll_due_at: Date;
};

/** Selected repositories by name. The cost depends on the number of gaps, not of jobs. */
export async function listRepositoryCoverage(db: Database): Promise<RepositoryCoverage[]> {
  const { rows } = await sql<RepositoryCoverage>`
    with gaps as (
      select repository_id, json_object_agg(kind, gaps order by kind) as gaps
      from (select repository_id, kind, count(*) as gaps from audit.gaps where repository_id is not null group by 1, 2) as kinds
      group by repository_id
    ),
    covered as (
      select repository_id, min(window_start) as covered_from, max(window_end) as covered_until
      from archive.windows
      group by repository_id
    )
    select full_name as repository, covered_from, covered_until, covered_from is not null and gaps.gaps is null as complete,
      coalesce(gaps.gaps, '{}') as gaps, problem, polled_at, poll_due_at
    from archive.repositories
    left join covered using (repository_id)
    left join gaps using (repository_id)
    where is_selected
    order by full_name
  `.execute(db);
  return rows;
}
