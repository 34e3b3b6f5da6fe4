// Synchronizes the database's clock with a simulator's.

import { createClock } from "@actions-archive/github-simulator/clock";
import { expect, test } from "vitest";

import { followClock } from "./simulated-clock.ts";
import { openTestDatabase } from "./test-database.ts";

test.each([0, 1, 10_000])("a database follows a clock of speed %d through every advance", async (speed) => {
  await using database = await openTestDatabase();
  const clock = createClock(new Date("2026-10-01T00:00:00Z"), speed);
  const readSkewMs = async () => {
    const before = clock.nowMs();
    const { rows } = await database.pool.query<{ clock: Date }>("select archive.clock() as clock");
    const { clock: read = new Date(0) } = rows[0] ?? {};
    return Math.max(0, before - read.getTime(), read.getTime() - clock.nowMs());
  };
  await using follower = await followClock(database.url, clock);
  // Both clocks have a resolution of one real millisecond.
  const maxSkewMs = 2 + 2 * speed;
  expect(await readSkewMs()).toBeLessThanOrEqual(maxSkewMs);
  clock.advance(86_400_000);
  clock.setSpeed(1);
  clock.advance(5_000);
  await follower.settled();
  expect(await readSkewMs()).toBeLessThanOrEqual(maxSkewMs);
});
