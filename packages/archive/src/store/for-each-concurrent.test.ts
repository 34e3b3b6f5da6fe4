import { expect, test } from "vitest";

import { forEachConcurrent } from "./for-each-concurrent.ts";

async function* count(to: number): AsyncIterable<number> {
  for (let n = 0; n < to; n += 1) yield n;
}

test("every item is processed once, and never more at a time than allowed", async () => {
  let [running, most] = [0, 0];
  const done: number[] = [];
  await forEachConcurrent(count(50), 4, async (n) => {
    most = Math.max(most, (running += 1));
    await new Promise(setImmediate);
    running -= 1;
    done.push(n);
  });
  expect(done.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, n) => n));
  expect(most).toBe(4);
});

test("the first error is thrown after running calls have settled, and no new call begins", async () => {
  const begun: number[] = [];
  let settled = 0;
  const failing = forEachConcurrent(count(50), 3, async (n) => {
    begun.push(n);
    await new Promise(setImmediate);
    settled += 1;
    if (n === 4) throw new Error("four");
  });
  await expect(failing).rejects.toThrow("four");
  expect(begun.length).toBeLessThan(12);
  expect(settled).toBe(begun.length);
});

test("an error of the list itself is thrown", async () => {
  async function* broken(): AsyncIterable<number> {
    yield 1;
    throw new Error("the list");
  }
  await expect(forEachConcurrent(broken(), 2, async () => {})).rejects.toThrow("the list");
});
