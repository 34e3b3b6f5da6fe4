// Listed windows stay disjoint and merged, in any order of arrival.

import { openTestDatabase } from "@actions-archive/testkit/test-database";
import fc from "fast-check";
import { expect, test } from "vitest";

import { addRepository, repositoryId } from "../../test-support/samples.ts";
import { addWindow, listFullSeconds, listWindows, markFullSecond, type Window } from "./windows.ts";

const epoch = Date.parse("2026-01-01T00:00:00Z");
const last = 40;
const at = (tick: number) => new Date(epoch + tick * 500);
const ticks = fc.tuple(fc.nat(last), fc.nat(last));

/** Whether each tick's half second is covered, computed without merging windows. */
function coveredTicks(windows: readonly Window[]): boolean[] {
  return Array.from({ length: last }, (_, tick) => windows.some(({ start, end }) => start <= at(tick) && at(tick) < end));
}

test("any sequence of windows leaves disjoint spans that do not touch and cover the same time", async () => {
  await using database = await openTestDatabase();
  const { db } = database;
  let repository = repositoryId;
  await fc.assert(
    fc.asyncProperty(fc.array(ticks, { maxLength: 8 }), async (pairs) => {
      await addRepository(db, ++repository);
      const windows = pairs.map(([start, end]) => ({ start: at(start), end: at(end) }));
      for (const window of windows) await addWindow(db, repository, window);
      const merged = await listWindows(db, repository);
      expect(coveredTicks(merged)).toEqual(coveredTicks(windows));
      const borders = merged.flatMap(({ start, end }) => [start.getTime(), end.getTime()]);
      // Adjacent windows are merged, so each border is later than the previous one.
      expect(borders).toEqual([...new Set(borders)].toSorted((a, b) => a - b));
    }),
    { numRuns: 60 },
  );
});

test("windows that are added at once are merged as if one after another", async () => {
  await using database = await openTestDatabase();
  await addRepository(database.db);
  const windows = Array.from({ length: 8 }, (_, index) => ({ start: at(index), end: at(index + 1) }));
  await Promise.all(windows.map((window) => addWindow(database.db, repositoryId, window)));
  expect(await listWindows(database.db, repositoryId)).toEqual([{ start: at(0), end: at(8) }]);
});

test("a full second is a gap until a window that was listed to its end holds it", async () => {
  await using database = await openTestDatabase();
  const { db } = database;
  await addRepository(db);
  await markFullSecond(db, repositoryId, at(4));
  await markFullSecond(db, repositoryId, at(4));
  await addWindow(db, repositoryId, { start: at(0), end: at(4) });
  expect(await listFullSeconds(db)).toEqual([{ repository_id: repositoryId, second_start: at(4) }]);
  await addWindow(db, repositoryId, { start: at(4), end: at(6) });
  expect(await listFullSeconds(db)).toEqual([]);
});

test("a window closes the full seconds of its own span and repository alone", async () => {
  await using database = await openTestDatabase();
  const { db } = database;
  await addRepository(db);
  await addRepository(db, repositoryId + 1, "acme/other");
  for (const tick of [0, 10, 20]) await markFullSecond(db, repositoryId, at(tick));
  await markFullSecond(db, repositoryId + 1, at(10));
  await addWindow(db, repositoryId, { start: at(8), end: at(14) });
  const open = (await listFullSeconds(db)).map(({ repository_id, second_start }) => [repository_id, second_start]);
  expect(open).toHaveLength(3);
  expect(open).toEqual(
    expect.arrayContaining([
      [repositoryId, at(0)],
      [repositoryId, at(20)],
      [repositoryId + 1, at(10)],
    ]),
  );
});

test("a full second is removed from its window, and restored with it", async () => {
  await using database = await openTestDatabase();
  const { db } = database;
  await addRepository(db);
  await addWindow(db, repositoryId, { start: at(0), end: at(10) });
  await markFullSecond(db, repositoryId, at(4));
  await markFullSecond(db, repositoryId, at(4));
  expect(await listWindows(db, repositoryId)).toEqual([
    { start: at(0), end: at(4) },
    { start: at(6), end: at(10) },
  ]);
  await addWindow(db, repositoryId, { start: at(4), end: at(6) });
  expect(await listWindows(db, repositoryId)).toEqual([{ start: at(0), end: at(10) }]);
  expect(await listFullSeconds(db)).toEqual([]);
});

test("a full second at the border of a window, in two windows, or in none, opens no more than itself", async () => {
  await using database = await openTestDatabase();
  const { db } = database;
  let repository = repositoryId;
  await fc.assert(
    fc.asyncProperty(fc.array(ticks, { maxLength: 4 }), fc.nat(last / 2 - 1), async (pairs, second) => {
      await addRepository(db, ++repository);
      const windows = pairs.map(([start, end]) => ({ start: at(start), end: at(end) }));
      for (const window of windows) await addWindow(db, repository, window);
      await markFullSecond(db, repository, at(second * 2));
      const expected = coveredTicks(windows).map((isCovered, tick) => isCovered && Math.floor(tick / 2) !== second);
      expect(coveredTicks(await listWindows(db, repository))).toEqual(expected);
    }),
    { numRuns: 40 },
  );
});
