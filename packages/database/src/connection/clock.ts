// The database's clock, which measures leases, pauses and the queue's delays, because the clocks of processes differ.

import { sql } from "kysely";

import type { Database } from "./open-database.ts";

export async function readClock(db: Database): Promise<Date> {
  const { rows } = await sql<{ now: Date }>`select now()`.execute(db);
  return rows[0]?.now ?? new Date();
}
