// The Postgres server of a test run: the embedded one, the same on every machine, or the one TEST_DATABASE_URL names.

import { randomBytes } from "node:crypto";
import { realpath } from "node:fs/promises";
import { join } from "node:path";

import type { Logger } from "@actions-archive/core/logger";
import { openEmbeddedPostgres } from "@actions-archive/embedded/embedded-postgres";
import { dataFolderIn } from "@actions-archive/embedded/postgres-cluster";
import { stopOrphan } from "@actions-archive/embedded/postmaster";
import { Client } from "pg";

export type TestPostgres = AsyncDisposable & { readonly url: string; readonly databasePrefix: string };

// What is lost in a crash of the machine is a test run.
const settings = { fsync: "off", synchronous_commit: "off", full_page_writes: "off", max_connections: "200" };

/** Uses the server at `url`, where disposing drops the run's databases, or starts one in `folder`, which disposing stops. */
export async function openTestPostgres(options: { url: string | undefined; folder: string; log: Logger }): Promise<TestPostgres> {
  const databasePrefix = `test_${randomBytes(4).toString("hex")}`;
  const { url } = options;
  if (url) return { url, databasePrefix, [Symbol.asyncDispose]: () => dropDatabases(url, databasePrefix) };
  const server = await openEmbeddedPostgres({ folder: folderIn(options.folder), settings, log: options.log });
  return { url: server.url, databasePrefix, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

/** Ends the server that a killed run left in its folder. */
export async function stopAbandonedPostgres(runFolder: string): Promise<void> {
  const dataFolder = await realpath(dataFolderIn(folderIn(runFolder))).catch(() => undefined);
  if (dataFolder) await stopOrphan(dataFolder);
}

function folderIn(runFolder: string): string {
  return join(runFolder, "postgres");
}

async function dropDatabases(url: string, prefix: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query<{ datname: string }>("select datname from pg_database where starts_with(datname, $1)", [
      prefix,
    ]);
    for (const { datname } of rows)
      await client.query(`drop database if exists ${client.escapeIdentifier(datname)} with (force)`);
  } finally {
    await client.end();
  }
}
