// Roles, grants and row-level security, from access/*.sql, applied by each migration.

import { errorMessage } from "@actions-archive/core/error-message";
import { sql } from "kysely";
import { DatabaseError } from "pg";

import type { Database } from "../connection/open-database.ts";
import { readSqlFolder } from "../connection/sql-folder.ts";

const folder = new URL("../../access/", import.meta.url);
const insufficientPrivilege = "42501";

/**
 * Runs access/*.sql, all or nothing, in the transaction that recreated the views. Idempotent.
 * @returns why it failed: the user may not create roles or assign objects to them. Then only the owner can read the views.
 */
export async function setUpAccess(trx: Database): Promise<string | undefined> {
  await sql`savepoint access`.execute(trx);
  try {
    for (const text of Object.values(await readSqlFolder(folder))) await sql.raw(text).execute(trx);
    return undefined;
  } catch (error) {
    if (!(error instanceof DatabaseError) || error.code !== insufficientPrivilege) throw error;
    await sql`rollback to savepoint access`.execute(trx);
    return errorMessage(error);
  }
}
