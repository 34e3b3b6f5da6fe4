// The schema comes up to date once, whoever asks and how often, and a worker refuses any other.

import { ConfigError } from "@actions-archive/core/errors";
import { createTestDatabase, openTestDatabase } from "@actions-archive/testkit/test-database";
import { expect, test } from "vitest";

import { openDatabase } from "../connection/open-database.ts";
import { claimIdentity, findIdentity } from "../ledger/identity.ts";
import { openLedger } from "../ledger/open-ledger.ts";
import { checkSchema, migrateDatabase } from "./migrate.ts";

const applicationName = "test";

test("the second migration has nothing to do and keeps what is there", async () => {
  const url = await createTestDatabase({ migrated: false });
  expect((await migrateDatabase(url)).length).toBeGreaterThan(1);
  await using database = await openDatabase({ url, applicationName });
  await claimIdentity(database.db, { archive_id: "7a8d3f1e-1d6c-4a53-9a59-2c8f8d6c1a11", host: "github.com" });
  expect(await migrateDatabase(url)).toEqual([]);
  expect(await findIdentity(database.db)).toMatchObject({ host: "github.com" });
  await expect(checkSchema(database.db)).resolves.toBeUndefined();
});

test("three that migrate at once end with one schema", async () => {
  const url = await createTestDatabase({ migrated: false });
  const applied = await Promise.all([migrateDatabase(url), migrateDatabase(url), migrateDatabase(url)]);
  const names = applied.flat();
  expect(new Set(names).size).toBe(names.length);
  await using ledger = await openLedger({ url, applicationName });
  await expect(ledger.ping()).resolves.toBeUndefined();
});

test("views are rebuilt by each migration, also broken ones", async () => {
  await using database = await openTestDatabase();
  await database.pool.query("drop view audit.steps; create view audit.mine as select 1 as one");
  await migrateDatabase(database.url);
  const { rows } = await database.pool.query<{ steps: string | null; mine: string | null }>(
    "select to_regclass('audit.steps') as steps, to_regclass('audit.mine') as mine",
  );
  expect(rows).toEqual([{ steps: "audit.steps", mine: null }]);
});

test("functions and their triggers are replaced by each migration, and keep what was granted", async () => {
  await using database = await openTestDatabase();
  const seen = `
    select
      archive.partition_start(123456) as start,
      (select count(*)::int from pg_trigger where tgname = 'removals_unseal') as triggers,
      (select proacl::text from pg_proc where proname = 'make_partitions') as grants`;
  const { rows: before } = await database.pool.query<{ start: number; triggers: number; grants: string }>(seen);
  expect(before).toEqual([{ start: 100_000, triggers: 1, grants: expect.stringContaining("actions_archive_writer=X") }]);
  await database.pool.query(`
    create or replace function archive.partition_start(job_id bigint) returns bigint language sql immutable as 'select 1::bigint';
    drop trigger removals_unseal on archive.removals`);
  await migrateDatabase(database.url);
  expect((await database.pool.query(seen)).rows).toEqual(before);
});

test("a migration that fails is named, and leaves nothing", async () => {
  const url = await createTestDatabase({ migrated: false });
  await using database = await openDatabase({ url, applicationName });
  await database.pool.query("create schema archive; create table archive.steps ()");
  await expect(migrateDatabase(url)).rejects.toThrow(/could not be brought up to date \(0005_rows\): .*"steps" already exists/);
  const { rows } = await database.pool.query("select to_regclass('archive.repositories') as earlier");
  expect(rows).toEqual([{ earlier: null }]);
  await database.pool.query("drop table archive.steps");
  await expect(migrateDatabase(url)).resolves.toContain("0005_rows");
});

test("an empty database is refused, naming migrate", async () => {
  const url = await createTestDatabase({ migrated: false });
  const opening = openLedger({ url, applicationName });
  await expect(opening).rejects.toThrow(ConfigError);
  await expect(opening).rejects.toThrow(/schema is empty. Run: actions-archive migrate/);
});

test("an older schema is refused with what it lacks, naming migrate", async () => {
  await using database = await openTestDatabase();
  await database.pool.query("delete from archive.migrations where name = '0005_rows'");
  await expect(checkSchema(database.db)).rejects.toThrow(/older than this program \(it lacks 0005_rows\). Run: .*migrate/);
});

test("a newer schema is refused by workers, and by migrate", async () => {
  await using database = await openTestDatabase();
  await database.pool.query("insert into archive.migrations values ('9999_future', now())");
  await expect(checkSchema(database.db)).rejects.toThrow(/newer than this program \(9999_future\)/);
  await expect(migrateDatabase(database.url)).rejects.toThrow(ConfigError);
});

test("a database belongs to the first archive that claims it", async () => {
  await using database = await openTestDatabase();
  const identity = { archive_id: "7a8d3f1e-1d6c-4a53-9a59-2c8f8d6c1a11", host: "github.com" };
  await Promise.all([claimIdentity(database.db, identity), claimIdentity(database.db, identity)]);
  for (const other of [
    { ...identity, archive_id: "7a8d3f1e-1d6c-4a53-9a59-2c8f8d6c1a12" },
    { ...identity, host: "ghes.example.com" },
  ]) {
    await expect(claimIdentity(database.db, other)).rejects.toThrow(ConfigError);
  }
  expect(await findIdentity(database.db)).toEqual(identity);
});
