// Statements as text, in a transaction of a test.

import { CompiledQuery } from "kysely";

import type { Database } from "../src/connection/open-database.ts";

export async function queryIn(trx: Database, query: string): Promise<Record<string, unknown>[]> {
  return (await trx.executeQuery<Record<string, unknown>>(CompiledQuery.raw(query))).rows;
}
