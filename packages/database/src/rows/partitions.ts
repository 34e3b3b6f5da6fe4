// Partitions of the auditor's tables, by job id. The writer creates them; the owner removes old ones by `select * from
// archive.remove_runs_before('2025-01-01')`, which no process of this program calls.

import { sql } from "kysely";

import type { Database } from "../connection/open-database.ts";

/** Creates missing partitions for these jobs' rows. Call it in the transaction that writes the rows, before it does. Idempotent. */
export async function makePartitions(trx: Database, jobIds: readonly number[]): Promise<void> {
  await sql`select archive.make_partitions(${sql.val(jobIds)}::bigint[])`.execute(trx);
}
