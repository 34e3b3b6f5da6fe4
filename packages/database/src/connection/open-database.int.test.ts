// The pool survives lost connections, returns large numbers exactly, and translates errors.

import { PermanentError, TransientError } from "@actions-archive/core/errors";
import { createTestDatabase, openTestDatabase } from "@actions-archive/testkit/test-database";
import { sql } from "kysely";
import { expect, test, vi } from "vitest";

import { openDatabase, transact } from "./open-database.ts";

test("the pool outlives the loss of every connection", async () => {
  await using database = await openTestDatabase({ maxConnections: 3 });
  await using other = await openDatabase({ url: database.url, applicationName: "killer", maxConnections: 1 });
  const hold = () => sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(database.db);
  await Promise.all([hold(), hold(), hold()]);
  await other.pool.query(
    "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()",
  );
  await vi.waitFor(async () => expect((await hold()).rows).toHaveLength(1), { timeout: 5_000 });
});

test("a transaction whose connection is lost fails as one that can be tried again", async () => {
  await using database = await openTestDatabase();
  const lost = transact(database.db, async (trx) => {
    const { rows } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(trx);
    await database.pool.query("select pg_terminate_backend($1)", [rows[0]?.pid]);
    await sql`select 1`.execute(trx);
  });
  await expect(lost).rejects.toThrow(TransientError);
  await expect(lost).rejects.toMatchObject({ code: "database/unavailable" });
});

test("a value that Postgres refuses is a permanent error, and the transaction is rolled back", async () => {
  await using database = await openTestDatabase();
  await database.pool.query("create table public.numbers (one integer)");
  const refused = transact(database.db, async (trx) => {
    await sql`insert into public.numbers values (1)`.execute(trx);
    await sql`insert into public.numbers values (${"3000000000"}::bigint)`.execute(trx);
  });
  await expect(refused).rejects.toThrow(PermanentError);
  await expect(refused).rejects.toMatchObject({ code: "database/refused" });
  expect((await database.pool.query("select from public.numbers")).rowCount).toBe(0);
});

test("a bigint above 2^31 arrives as the exact number, and one that no number holds is an error", async () => {
  await using database = await openTestDatabase();
  const ask = async (value: string) => {
    const { rows } = await sql<{ id: number }>`select ${value}::bigint as id`.execute(database.db);
    return rows[0]?.id;
  };
  expect(await ask("109083036468")).toBe(109_083_036_468);
  expect(await ask("9007199254740991")).toBe(Number.MAX_SAFE_INTEGER);
  await expect(ask("9007199254740993")).rejects.toThrow(/9007199254740993 does not fit/);
});

test("sessions use UTC and have timeouts", async () => {
  await using database = await openTestDatabase();
  const { rows } = await database.pool.query<{ zone: string; statement: string; lock: string }>(
    "select current_setting('TimeZone') zone, current_setting('statement_timeout') statement, current_setting('lock_timeout') lock",
  );
  expect(rows).toEqual([{ zone: "UTC", statement: "1min", lock: "10s" }]);
});

test("a Postgres that does not answer is refused by its address, without the password", async () => {
  const url = new URL(await createTestDatabase({ migrated: false }));
  url.port = "1";
  url.password = "hunter2";
  const opening = openDatabase({ url: url.href, applicationName: "test" });
  await expect(opening).rejects.toThrow(`Postgres at ${url.host} does not answer`);
  await expect(opening).rejects.not.toThrow("hunter2");
});
