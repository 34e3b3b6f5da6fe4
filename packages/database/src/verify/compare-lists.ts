// Finds rows of the lists in seals (tombstones, holds, policies, damages, removals, retries, backfills) that differ from the seals,
// which `expected-ledger.ts` has written into temporary tables.

import { sql } from "kysely";

import type { Database } from "../connection/open-database.ts";
import { type Content, millis, withoutTimeout } from "./compare-ledger.ts";

const actor = sql`jsonb_build_object('by', by, 'os_user', os_user, 'database_user', database_user)`;
const isoMillis = (column: string) => sql`to_char(${sql.ref(column)}, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;

/** Columns of one of a seal's lists. Times in seals have milliseconds. */
const sealedLists = {
  tombstones: {
    key: sql`object_key`,
    at: sql`decided_at`,
    content: sql`jsonb_build_object('job_id', job_id, 'repository_id', repository_id, 'version_id', version_id, 'size_bytes', size_bytes,
      'sha256', sha256, 'cause', cause, 'reason', reason, 'decided_at', ${millis("decided_at")}, 'sealed_in', sealed_in)
      || ${actor}`,
  },
  holds: {
    key: sql`concat(job_id, ' is_held=', is_held, ' changed_at=', ${isoMillis("changed_at")})`,
    at: sql`changed_at`,
    content: sql`jsonb_build_object('reason', reason, 'sealed_in', sealed_in) || ${actor}`,
  },
  retention_policies: {
    key: sql`concat(name, ' changed_at=', ${isoMillis("changed_at")})`,
    at: sql`changed_at`,
    content: sql`jsonb_build_object('keep_days', keep_days, 'reason', reason, 'sealed_in', sealed_in) || ${actor}`,
  },
  damages: {
    key: sql`object_key`,
    at: sql`greatest(found_at, repaired_at)`,
    content: sql`jsonb_build_object('finding', finding, 'found_at', ${millis("found_at")}, 'repaired_by', repaired_by, 'sealed_in', sealed_in,
      'job_id', job_id, 'repository_id', repository_id)`,
  },
  removals: {
    key: isoMillis("runs_before"),
    at: sql`removed_at`,
    content: sql`jsonb_build_object('removed_at', ${millis("removed_at")}, 'runs', runs, 'jobs', jobs, 'closed_gaps', closed_gaps,
      'database_user', database_user,
      'sealed_in', sealed_in)`,
  },
  retries: {
    key: sql`concat(job_id, ' retried_at=', ${isoMillis("retried_at")})`,
    at: sql`retried_at`,
    content: sql`jsonb_build_object('repository_id', repository_id, 'failed_for', failed_for, 'reason', reason, 'sealed_in', sealed_in) || ${actor}`,
  },
  backfill_steps: {
    key: sql`concat(backfill_id, ' step=', step, ' taken_at=', ${isoMillis("taken_at")})`,
    at: sql`taken_at`,
    content: sql`jsonb_build_object('asked_for', asked_for, 'repository_ids', repository_ids, 'since', ${millis("since")},
      'until', ${millis("until")}, 'reason', reason, 'sealed_in', sealed_in) || ${actor}`,
  },
} as const;
export type SealedList = keyof typeof sealedLists;
export const sealedListNames = Object.keys(sealedLists) as SealedList[];

export type ListDifference = {
  readonly key: string;
  /** Null if there is no such row. */
  readonly actual: Content | null;
  readonly expected: Content | null;
  /** The row's own time: when it was decided, set, found or removed. */
  readonly at: Date | null;
};

/** Rows of one list that differ from the seals. */
export async function findListDifferences(db: Database, list: SealedList): Promise<ListDifference[]> {
  const { key, at, content } = sealedLists[list];
  const rowsOf = (schema: string) => sql`
    select ${key} as key, ${at} as at, ${content} as content from ${sql.id(schema)}.${sql.id(list)}`;
  const { rows } = await withoutTimeout(db, (trx) =>
    sql<ListDifference>`
      select key, actual.content as actual, expected.content as expected, actual.at
      from (${rowsOf("archive")}) as actual
      full join (${rowsOf("pg_temp")}) as expected using (key)
      where actual.content is distinct from expected.content
      order by key
    `.execute(trx),
  );
  return rows;
}

/** Jobs and policies whose rows, by id, are in another order than their seals: the last one is in force. */
export async function listReorderedRows(db: Database): Promise<{ table: "holds" | "retention_policies"; key: string }[]> {
  const reordered = (table: string, id: string, of: string) => sql`
    select distinct ${table} as table, of::text as key
    from (
      select ${sql.ref(of)} as of, sealed_in, max(sealed_in) over (partition by ${sql.ref(of)} order by ${sql.ref(id)}) as latest
      from archive.${sql.id(table)}
    ) as in_order
    where sealed_in < latest`;
  const { rows } = await withoutTimeout(db, (trx) =>
    sql<{ table: "holds" | "retention_policies"; key: string }>`
      ${reordered("holds", "hold_id", "job_id")} union all ${reordered("retention_policies", "policy_id", "name")} order by 1, 2
    `.execute(trx),
  );
  return rows;
}
