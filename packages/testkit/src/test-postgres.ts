// The Postgres server of a test run: the embedded one, or the one named by TEST_DATABASE_URL.

import { randomBytes } from "node:crypto";
import { realpath } from "node:fs/promises";
import { join } from "node:path";

import type { Logger } from "@actions-archive/core/logger";
import { openEmbeddedPostgres } from "@actions-archive/embedded/embedded-postgres";
import { dataFolderIn } from "@actions-archive/embedded/postgres-cluster";
import { stopOrphan } from "@actions-archive/embedded/postmaster";
import { Client } from "pg";

export type TestPostgres = AsyncDisposable & { readonly url: string; readonly databasePrefix: string };

// A crash of the machine loses only a test run.
const settings = { fsync: "off", synchronous_commit: "off", full_page_writes: "off", max_connections: "200" };

/** Uses the server at `url`, or starts one in `folder`. Disposing drops the run's databases, or stops the server. */
export async function openTestPostgres(options: { url: string | undefined; folder: string; log: Logger }): Promise<TestPostgres> {
  const databasePrefix = `test_${randomBytes(4).toString("hex")}`;
  const { url } = options;
  if (url) return { url, databasePrefix, [Symbol.asyncDispose]: () => dropDatabases(url, databasePrefix) };
  const server = await openEmbeddedPostgres({ folder: folderIn(options.folder), settings, log: options.log });
  return { url: server.url, databasePrefix, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

/** Stops the server that a killed run left. */
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
