// A migrated database per test, cloned from a template that the first test creates. Clones stay until the end of the run, because dropping
// one under a pool that is just closing throws inside that pool.

import { randomBytes } from "node:crypto";

import { openDatabase, type OpenDatabase } from "@actions-archive/database/connection/open-database";
import { migrateDatabase } from "@actions-archive/database/migration/migrate";
import { Client } from "pg";
import { inject } from "vitest";

export type TestDatabase = OpenDatabase & { readonly url: string };

/** Creates a migrated, empty database and connects to it. Disposing closes the connections. Takes 50 to 100 ms. */
export async function openTestDatabase(options: { maxConnections?: number } = {}): Promise<TestDatabase> {
  const url = await createTestDatabase({ migrated: true });
  const database = await openDatabase({ url, applicationName: "test", ...options });
  return { ...database, url };
}

/** @returns the URL of a new database, migrated or empty, for tests that connect by themselves. */
export async function createTestDatabase({ migrated }: { migrated: boolean }): Promise<string> {
  const prefix = inject("testDatabasePrefix");
  const name = `${prefix}_${randomBytes(6).toString("hex")}`;
  const template = `${prefix}_template`;
  const client = new Client({ connectionString: inject("testPostgresUrl") });
  await client.connect();
  try {
    if (migrated) await ensureTemplate(client, template);
    await client.query(`create database ${name} ${migrated ? `template ${template}` : "template template0"}`);
  } finally {
    await client.end();
  }
  return urlOf(name);
}

async function ensureTemplate(client: Client, template: string): Promise<void> {
  const { rowCount } = await client.query("select from pg_database where datname = $1", [template]);
  if (rowCount) return;
  await client.query("select pg_advisory_lock(hashtext($1))", [template]);
  try {
    const made = await client.query("select from pg_database where datname = $1", [template]);
    if (made.rowCount) return;
    // A finished migration gets the final name. A failed one leaves another name, and the next test repeats it.
    const unfinished = `${template}_unfinished`;
    await client.query(`drop database if exists ${unfinished} with (force)`);
    await client.query(`create database ${unfinished} template template0`);
    await migrateDatabase(urlOf(unfinished));
    await client.query(`alter database ${unfinished} rename to ${template}`);
  } finally {
    await client.query("select pg_advisory_unlock(hashtext($1))", [template]);
  }
}

function urlOf(name: string): string {
  const url = new URL(inject("testPostgresUrl"));
  url.pathname = `/${name}`;
  return url.href;
}
