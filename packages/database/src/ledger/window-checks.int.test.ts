// Spans that are listed again: how tries add up over lists with other borders, and when a span becomes a gap.

import { openTestDatabase, type TestDatabase } from "@actions-archive/testkit/test-database";
import { expect, test } from "vitest";

import { selectRepositories } from "./repositories.ts";
import {
  finishSecondListing,
  listWindowChecks,
  recordIncompleteWindow,
  recordUnusableWindow,
  scheduleSecondListing,
} from "./window-checks.ts";
import { addWindow, listWindows } from "./windows.ts";

const id = 7;
const at = (hour: number) => new Date(Date.UTC(2026, 4, 1, hour));
const span = (from: number, until: number) => ({ start: at(from), end: at(until) });
const short = { promised: 3, shown: 2 };

async function openRepository(): Promise<TestDatabase> {
  const database = await openTestDatabase();
  await selectRepositories(database.db, [{ repository_id: id, full_name: "acme/app", is_private: false }]);
  return database;
}

const readChecks = async ({ pool }: TestDatabase) =>
  (
    await pool.query(
      `select window_start, window_end, reason, tries, round(extract(epoch from due_at - now()))::int as due,
        incomplete_since is not null as is_gap
      from archive.window_checks order by window_start`,
    )
  ).rows as Record<string, unknown>[];

test("an incomplete span is removed from coverage, and covered again by a window around it", async () => {
  await using database = await openRepository();
  const { db } = database;
  await addWindow(db, id, span(0, 10));
  await recordIncompleteWindow(db, id, span(4, 6), short);
  expect(await listWindows(db, id)).toEqual([span(0, 4), span(6, 10)]);
  await addWindow(db, id, span(4, 5));
  expect(await listWindowChecks(db, id)).toHaveLength(1);
  await addWindow(db, id, span(5, 6));
  expect(await listWindows(db, id)).toEqual([span(0, 10)]);
  expect(await listWindowChecks(db, id)).toEqual([]);
});

test("tries add up over spans that overlap, further and further apart, and the fifth makes a gap", async () => {
  await using database = await openRepository();
  const { db } = database;
  const dues: unknown[] = [];
  for (const window of [span(0, 10), span(1, 12), span(0, 9), span(2, 8)]) {
    await recordIncompleteWindow(db, id, window, short);
    dues.push((await readChecks(database))[0]?.["due"]);
  }
  expect(dues).toEqual([10, 20, 40, 80]);
  expect(await readChecks(database)).toMatchObject([{ window_start: at(2), window_end: at(8), tries: 4, is_gap: false }]);
  await recordIncompleteWindow(db, id, span(2, 8), short);
  expect(await readChecks(database)).toMatchObject([{ tries: 5, is_gap: true }]);
});

test("a span with an unusable run stays covered, and is never a gap of a list", async () => {
  await using database = await openRepository();
  const { db } = database;
  await addWindow(db, id, span(0, 10));
  for (let tries = 0; tries < 6; tries++) await recordUnusableWindow(db, id, span(0, 10));
  expect(await readChecks(database)).toMatchObject([{ reason: "unusable", tries: 6, is_gap: false }]);
  expect(await listWindows(db, id)).toEqual([span(0, 10)]);
});

test("second listings of spans that touch are one, which covering does not end", async () => {
  await using database = await openRepository();
  const { db } = database;
  for (const window of [span(5, 10), span(0, 5), span(20, 30)]) await scheduleSecondListing(db, id, window, 60);
  await scheduleSecondListing(db, id, span(3, 3), 60);
  await addWindow(db, id, span(0, 30));
  const checks = await listWindowChecks(db, id);
  expect(checks).toEqual([
    { ...span(0, 10), reason: "second_listing", isDue: false, isGap: false },
    { ...span(20, 30), reason: "second_listing", isDue: false, isGap: false },
  ]);
  await finishSecondListing(db, id, span(0, 10));
  expect(await listWindowChecks(db, id)).toHaveLength(1);
});
