// The first migrations on a new server, by users who may create roles and by others, since roles are global to the server.

import { createLogger } from "@actions-archive/core/logger";
import { openRunFolder } from "@actions-archive/testkit/run-folder";
import { openTestPostgres } from "@actions-archive/testkit/test-postgres";
import pg from "pg";
import { beforeAll, expect, test } from "vitest";

import { addRepository } from "../../test-support/samples.ts";
import { openDatabase } from "../connection/open-database.ts";
import { selectRepositories } from "../ledger/repositories.ts";
import { migrateDatabase } from "../migration/migrate.ts";
import { queryAsAuditor } from "./auditor.ts";

const password = "of-a-test";
let serverUrl: string;
let admin: pg.Client;

// The tests run in sequence on a server without this program's roles.
beforeAll(async () => {
  await using opened = new AsyncDisposableStack();
  const folder = opened.use(await openRunFolder());
  const server = opened.use(await openTestPostgres({ url: undefined, folder: folder.path, log: createLogger("test", "silent") }));
  serverUrl = server.url;
  admin = new pg.Client({ connectionString: serverUrl });
  await admin.connect();
  opened.defer(() => admin.end());
  const running = opened.move();
  return () => running.disposeAsync();
});

/** A database of a new user's own. */
async function createDatabase(name: string, owner: string): Promise<string> {
  await admin.query(`create database ${name} owner ${owner}`);
  return Object.assign(new URL(serverUrl), { username: owner, password, pathname: `/${name}` }).href;
}

async function migrate(url: string): Promise<string[]> {
  const warnings: string[] = [];
  const log = createLogger("test", "warn", {
    write: (line) => void warnings.push((JSON.parse(line) as { reason: string }).reason),
  });
  await migrateDatabase(url, { log });
  return warnings;
}

const ask = async (url: string, statement: string) => {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(statement)).rows;
  } finally {
    await client.end();
  }
};

test("a user who may not create roles can migrate with a warning, and alone writes and reads the views", async () => {
  await admin.query(`create role tenant login password '${password}'`);
  const url = await createDatabase("of_tenant", "tenant");
  expect(await migrate(url)).toEqual([expect.stringContaining("permission denied to create role")]);
  await using database = await openDatabase({ url, applicationName: "test" });
  await addRepository(database.db);
  await ask(url, "insert into archive.identity (archive_id, host) values (gen_random_uuid(), 'github.com')");
  expect(await ask(url, "select repository from audit.gaps")).toEqual([{ repository: "acme/app" }]);
  await expect(queryAsAuditor(database.pool, "select 1")).rejects.toThrow(
    "this database has no auditor role: run `actions-archive migrate`",
  );
  expect(await migrate(url)).toHaveLength(1);
});

test("several archives on one server can migrate for the first time concurrently, without warnings", async () => {
  await admin.query(`create role manager login createrole password '${password}'`);
  const urls: string[] = [];
  for (let index = 0; index < 4; index++) urls.push(await createDatabase(`of_manager_${index}`, "manager"));
  expect(await Promise.all(urls.map(migrate))).toEqual(urls.map(() => []));
  for (const url of urls) {
    expect(await ask(url, "select distinct viewowner from pg_views where schemaname = 'audit'")).toEqual([
      { viewowner: "actions_archive_views" },
    ]);
  }
  expect(await Promise.all(urls.map(migrate))).toEqual(urls.map(() => []));
});

test("that user creates, limits and drops an auditor", async () => {
  const url = Object.assign(new URL(serverUrl), { username: "manager", password, pathname: "/of_manager_0" }).href;
  await using database = await openDatabase({ url, applicationName: "test" });
  await selectRepositories(database.db, [
    { repository_id: 1, full_name: "acme/app", is_private: false },
    { repository_id: 2, full_name: "umbrella/app", is_private: true },
  ]);
  await ask(url, "insert into archive.identity (archive_id, host) values (gen_random_uuid(), 'github.com')");
  await ask(url, `select archive.create_auditor('mona', array['acme'])`);
  await ask(url, `alter role mona password '${password}'`);
  const asMona = Object.assign(new URL(url), { username: "mona" }).href;
  expect(await ask(asMona, "select repository from gaps")).toEqual([{ repository: "acme/app" }]);
  expect(await queryAsAuditor(database.pool, "select repository from gaps order by 1")).toHaveLength(2);
  await ask(url, "select archive.drop_auditor('mona')");
  await expect(ask(asMona, "select 1")).rejects.toThrow("authentication failed");
});

test("a member of actions_archive_owner needs no right to create roles", async () => {
  await admin.query(`create role member login in role actions_archive_owner password '${password}'`);
  expect(await migrate(await createDatabase("of_member", "member"))).toEqual([]);
});

test("a user who may not become the owner of the views is warned, even if the roles exist", async () => {
  const url = Object.assign(new URL(serverUrl), { username: "tenant", password, pathname: "/of_tenant" }).href;
  expect(await migrate(url)).toHaveLength(1);
  expect(await ask(url, "select repository from audit.gaps")).toEqual([{ repository: "acme/app" }]);
});
