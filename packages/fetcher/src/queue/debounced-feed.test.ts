// One feeding for many reasons, at once for the first, and never without a rest.

import { expect, test } from "vitest";

import { openDebouncedFeed } from "./debounced-feed.ts";

test("the first reason is fed for at once, and all that come meanwhile together, after a rest", async () => {
  const fedAt: number[] = [];
  const began = performance.now();
  await using feeder = openDebouncedFeed(async () => {
    fedAt.push(performance.now() - began);
    if (fedAt.length === 1) for (let reason = 0; reason < 100; reason++) feeder.ask();
  });
  feeder.ask();
  feeder.ask();
  await expect.poll(() => fedAt.length).toBe(2);
  await feeder[Symbol.asyncDispose]();
  expect(fedAt).toHaveLength(2);
  expect((fedAt[1] ?? 0) - (fedAt[0] ?? 0)).toBeGreaterThan(90);
});
