// Who may read and write what: roles, grants and row-level security, from access/*.sql, made anew by each migration.

import { errorMessage } from "@actions-archive/core/error-message";
import { sql } from "kysely";
import { DatabaseError } from "pg";

import type { Database } from "../connection/open-database.ts";
import { readSqlFolder } from "../connection/sql-folder.ts";

const folder = new URL("../../access/", import.meta.url);
const insufficientPrivilege = "42501";

/**
 * Runs access/*.sql, all or nothing, in the transaction that rebuilt the views. Idempotent.
 * @returns why it could not: the user may not create roles or hand objects to them. Then nobody but the owner reads the views.
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
