// Brings the schema up to date: applies new migrations/*.sql, replaces every function of functions/*.sql, rebuilds every view of
// views/*.sql, and sets up access. Run by `migrate` and by the embedded set-up alone; workers only check the schema.

import { errorMessage } from "@actions-archive/core/error-message";
import { ConfigError } from "@actions-archive/core/errors";
import type { Logger } from "@actions-archive/core/logger";
import { sql } from "kysely";
import { Migrator, type Migration } from "kysely/migration";

import { setUpAccess } from "../audit/access.ts";
import { type Database, openDatabase } from "../connection/open-database.ts";
import { readSqlFolder } from "../connection/sql-folder.ts";

const migrationsFolder = new URL("../../migrations/", import.meta.url);
const functionsFolder = new URL("../../functions/", import.meta.url);
const viewsFolder = new URL("../../views/", import.meta.url);
const migrationTable = "migrations";

/**
 * Idempotent, and safe when several start at once: Kysely's migrator takes a lock. Where the user may not create roles, a
 * warning says so to `log`, and all else is done.
 * @returns the names of the migrations that were applied now.
 * @throws ConfigError when the database is newer than this program, or a migration fails.
 */
export async function migrateDatabase(databaseUrl: string, { log }: { log?: Logger } = {}): Promise<string[]> {
  await using database = await openDatabase({ url: databaseUrl, applicationName: "actions-archive migrate", maxConnections: 2 });
  const { error, results = [] } = await migratorOf(database.db).migrateToLatest();
  if (error !== undefined) {
    const failed = results.find(({ status }) => status === "Error")?.migrationName;
    throw new ConfigError(`The schema could not be brought up to date${failed ? ` (${failed})` : ""}: ${errorMessage(error)}`, {
      cause: error,
    });
  }
  const refusal = await replaceDefinitions(database.db);
  if (refusal !== undefined) {
    log?.warn(
      { reason: refusal },
      "the roles of docs/access.md were not set up: only the owner of the database can work with it and read its views",
    );
  }
  return results.map(({ migrationName }) => migrationName);
}

/** @throws ConfigError that names `migrate` when the schema is empty, older or newer than this program. */
export async function checkSchema(db: Database): Promise<void> {
  const known = Object.keys(await readSqlFolder(migrationsFolder));
  const { rows: tables } = await sql<{
    exists: boolean;
  }>`select to_regclass(${`archive.${migrationTable}`}) is not null as exists`.execute(db);
  const applied = tables[0]?.exists
    ? (await sql<{ name: string }>`select name from archive.migrations order by name`.execute(db)).rows.map(({ name }) => name)
    : [];
  const missing = known.filter((name) => !applied.includes(name));
  if (missing.length > 0) {
    const state = applied.length === 0 ? "empty" : `older than this program (it lacks ${missing.join(", ")})`;
    throw new ConfigError(`DATABASE_URL: the database's schema is ${state}. Run: actions-archive migrate`);
  }
  const unknown = applied.filter((name) => !known.includes(name));
  if (unknown.length > 0)
    throw new ConfigError(
      `DATABASE_URL: the database's schema is newer than this program (${unknown.join(", ")}). Update the program`,
    );
}

function migratorOf(db: Database): Migrator {
  return new Migrator({
    db,
    migrationTableSchema: "archive",
    migrationTableName: migrationTable,
    migrationLockTableName: `${migrationTable}_lock`,
    provider: {
      async getMigrations() {
        const files = await readSqlFolder(migrationsFolder);
        return Object.fromEntries(
          Object.entries(files).map(([name, text]): [string, Migration] => [name, { up: (trx) => runMigration(trx, text) }]),
        );
      },
    },
  });
}

// The session's limit is for queries: rewriting a large table takes as long as it takes.
async function runMigration(trx: Database, text: string): Promise<void> {
  await sql`set local statement_timeout = 0`.execute(trx);
  await sql.raw(text).execute(trx);
}

// One transaction: a reader sees the old functions and views or the new ones, never none. Views come last, since they may call functions.
async function replaceDefinitions(db: Database): Promise<string | undefined> {
  const functions = await readSqlFolder(functionsFolder);
  const views = await readSqlFolder(viewsFolder);
  return db.transaction().execute(async (trx) => {
    await sql`select from ${sql.table(`archive.${migrationTable}_lock`)} for update`.execute(trx);
    await sql`drop schema if exists audit cascade`.execute(trx);
    for (const text of Object.values(functions)) await sql.raw(text).execute(trx);
    await sql`create schema audit`.execute(trx);
    await sql`comment on schema audit is 'Views for auditors: stable names and columns, over tables that are free to change.'`.execute(
      trx,
    );
    for (const text of Object.values(views)) await sql.raw(text).execute(trx);
    return setUpAccess(trx);
  });
}
