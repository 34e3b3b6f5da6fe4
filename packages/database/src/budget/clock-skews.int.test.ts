// Refused dates in `status`, and the clock with which they are compared.

import { setDatabaseClock } from "@actions-archive/testkit/simulated-clock";
import { openTestDatabase } from "@actions-archive/testkit/test-database";
import { expect, test } from "vitest";

import { clearClockSkew, listClockSkews, recordClockSkew } from "./clock-skews.ts";
import { openDatabaseBudget } from "./credentials.ts";

test("a skew is shown since its first refused date, until one is accepted", async () => {
  await using database = await openTestDatabase();
  const { db, pool } = database;
  await recordClockSkew(db, "api.github.com", 598);
  await pool.query(
    "update archive.clock_skews set since = since - interval '10 min', last_seen_at = last_seen_at - interval '5 min'",
  );
  const [first] = await listClockSkews(db);
  await recordClockSkew(db, "api.github.com", -600);
  await recordClockSkew(db, "ghes.example", 301);
  const skews = await listClockSkews(db);
  expect(skews).toMatchObject([
    { host: "api.github.com", skew_seconds: -600, since: first?.since },
    { host: "ghes.example", skew_seconds: 301 },
  ]);
  expect(skews[0]?.last_seen_at.getTime()).toBeGreaterThan(first?.last_seen_at.getTime() ?? Infinity);

  await clearClockSkew(db, "api.github.com");
  expect((await listClockSkews(db)).map(({ host }) => host)).toEqual(["ghes.example"]);
  await recordClockSkew(db, "api.github.com", 400);
  const [again] = await listClockSkews(db);
  expect(again?.since.getTime()).toBeGreaterThan(first?.since.getTime() ?? Infinity);
});

test("a skew that was last seen over an hour ago is not shown, and a later one is new", async () => {
  await using database = await openTestDatabase();
  const { db, pool } = database;
  await recordClockSkew(db, "api.github.com", 598);
  await pool.query("update archive.clock_skews set since = now() - interval '2 h', last_seen_at = now() - interval '61 min'");
  expect(await listClockSkews(db)).toEqual([]);
  await recordClockSkew(db, "api.github.com", 598);
  const [again] = await listClockSkews(db);
  expect(again?.since).toEqual(again?.last_seen_at);
});

test("a budget's clock is the database's, read with each permit and on demand", async () => {
  await using database = await openTestDatabase();
  const { clock, acquire } = openDatabaseBudget(database.db, { reservePercent: 20 });
  expect(clock.now()).toBeUndefined();
  const simulated = Date.parse("2030-01-01T00:00:00Z");
  const aheadMs = () => (clock.now()?.getTime() ?? 0) - simulated;
  await setDatabaseClock(database.url, () => ({ simulatedMs: simulated, realMs: Date.now(), speed: 1 }));
  (await acquire("token")).end({ isFree: true });
  expect(aheadMs()).toBeGreaterThanOrEqual(0);
  expect(aheadMs()).toBeLessThan(30_000);
  await setDatabaseClock(database.url, () => ({ simulatedMs: simulated + 3_600_000, realMs: Date.now(), speed: 1 }));
  expect(aheadMs()).toBeLessThan(60_000);
  await clock.read();
  expect(aheadMs()).toBeGreaterThanOrEqual(3_600_000);

  await clock.recordSkew("ghes.example", 598_400);
  expect(await listClockSkews(database.db)).toMatchObject([{ host: "ghes.example", skew_seconds: 598 }]);
  await clock.recordSkew("ghes.example", undefined);
  expect(await listClockSkews(database.db)).toEqual([]);
});
