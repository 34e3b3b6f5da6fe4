// State of sealing, for operators: the last report of the sealing loader, and what waits.

import { sql } from "kysely";

import type { Database } from "../connection/open-database.ts";
import { findHead, type SealHead } from "./seals.ts";

export type SealingStatus = {
  readonly keyId: string;
  readonly intervalSeconds: number;
  /** Why it does not seal; null if it does. */
  readonly problem: string | null;
};

/** Records that a loader checked whether a seal is due, and its problem. */
export async function recordSealing(db: Database, { keyId, intervalSeconds, problem }: SealingStatus): Promise<void> {
  await sql`
    insert into archive.sealing as noted (key_id, interval_seconds, problem, problem_since)
    values (${keyId}, ${intervalSeconds}, ${problem}, case when ${problem}::text is not null then now() end)
    on conflict (singleton) do update set
      key_id = excluded.key_id,
      interval_seconds = excluded.interval_seconds,
      seen_at = now(),
      problem = excluded.problem,
      problem_since = case when excluded.problem is not null then coalesce(noted.problem_since, now()) end
  `.execute(db);
}

export type Sealing = {
  /** The newest published seal. */
  readonly head: SealHead | null;
  readonly unsealed_objects: number;
  /** Null if no loader had a sealing key. */
  readonly key_id: string | null;
  readonly problem: string | null;
  readonly problem_since: Date | null;
};

export async function findSealing(db: Database): Promise<Sealing> {
  const { rows } = await sql<Omit<Sealing, "head">>`
    select
      (select count(*) from archive.objects where sealed_in is null) as unsealed_objects,
      key_id, problem, problem_since
    from (values (true)) as once(singleton)
    left join archive.sealing using (singleton)
  `.execute(db);
  const [row] = rows;
  if (row === undefined) throw new TypeError("A left join from one row gives one row.");
  return { head: (await findHead(db)) ?? null, ...row };
}
