import { expect, test } from "vitest";

import { createBatcher } from "./batcher.ts";

test("items are collected into batches of the size, each item once", async () => {
  const batches: number[][] = [];
  const add = createBatcher<number>({ maxItems: 3, maxWaitMs: 5, maxRunning: 1 }, async (items) => void batches.push(items));
  await Promise.all([1, 2, 3, 4, 5, 6, 7].map(add));
  expect(batches.flat().toSorted((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7]);
  expect(Math.max(...batches.map(({ length }) => length))).toBe(3);
});

test("a failed batch rejects its own items alone", async () => {
  const add = createBatcher<string>({ maxItems: 2, maxWaitMs: 1, maxRunning: 1 }, async (items) => {
    if (items.includes("bad")) throw new Error("refused");
  });
  const outcomes = await Promise.allSettled(["a", "bad", "c", "d"].map(add));
  expect(outcomes.map(({ status }) => status)).toEqual(["rejected", "rejected", "fulfilled", "fulfilled"]);
});

test.each([1, 2])("%i batches run concurrently, and the next one collects meanwhile", async (maxRunning) => {
  let active = 0;
  let most = 0;
  const add = createBatcher<number>({ maxItems: 2, maxWaitMs: 1, maxRunning }, async () => {
    most = Math.max(most, ++active);
    await Promise.resolve();
    active--;
  });
  await Promise.all([1, 2, 3, 4, 5, 6, 7, 8].map(add));
  expect(most).toBe(maxRunning);
});
