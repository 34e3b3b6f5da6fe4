// The pieces of the auditor's tables, by job id. Making them is the writer's part; removing old ones is the owner's, by
// `select * from archive.remove_runs_before('2025-01-01')`, which no process of ours calls.

import { sql } from "kysely";

import type { Database } from "../connection/open-database.ts";

/** Makes the partitions for these jobs' rows where they lack. Call it in the transaction that writes the rows, before it does. Idempotent. */
export async function makePartitions(trx: Database, jobIds: readonly number[]): Promise<void> {
  await sql`select archive.make_partitions(${sql.val(jobIds)}::bigint[])`.execute(trx);
}
