// Debouncing: the first request feeds at once, later ones together after a pause.

import { expect, test } from "vitest";

import { openDebouncedFeed } from "./debounced-feed.ts";

test("the first request feeds at once, and requests in the meantime cause one feed after a pause", async () => {
  const fedAt: number[] = [];
  const began = performance.now();
  await using feeder = openDebouncedFeed(async () => {
    fedAt.push(performance.now() - began);
    if (fedAt.length === 1) for (let reason = 0; reason < 100; reason++) feeder.request();
  });
  feeder.request();
  feeder.request();
  await expect.poll(() => fedAt.length).toBe(2);
  await feeder[Symbol.asyncDispose]();
  expect(fedAt).toHaveLength(2);
  expect((fedAt[1] ?? 0) - (fedAt[0] ?? 0)).toBeGreaterThan(90);
});
