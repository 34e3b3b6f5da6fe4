// The database's clock: the one that leases, pauses and the queue's delays are measured by, since processes' own differ.

import { sql } from "kysely";

import type { Database } from "./open-database.ts";

export async function readClock(db: Database): Promise<Date> {
  const { rows } = await sql<{ now: Date }>`select now()`.execute(db);
  return rows[0]?.now ?? new Date();
}
