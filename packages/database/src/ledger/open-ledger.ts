// Opens the database for a worker, and refuses an outdated schema.

import { sql } from "kysely";

import { openDatabase, type OpenDatabase, type OpenDatabaseOptions } from "../connection/open-database.ts";
import { checkSchema } from "../migration/migrate.ts";

export type Ledger = OpenDatabase & { /** Resolves while Postgres answers. */ readonly ping: () => Promise<void> };

/** @throws ConfigError if Postgres does not answer, is too old, or has the schema of another version. */
export async function openLedger(options: OpenDatabaseOptions): Promise<Ledger> {
  const database = await openDatabase(options);
  try {
    await checkSchema(database.db);
  } catch (error) {
    await database[Symbol.asyncDispose]();
    throw error;
  }
  const ping = async () => {
    try {
      await sql`select 1`.execute(database.db);
    } catch (cause) {
      throw new Error("Postgres does not answer", { cause });
    }
  };
  return { ...database, ping };
}
