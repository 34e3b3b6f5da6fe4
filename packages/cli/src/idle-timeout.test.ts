import { expect, test } from "vitest";

import { IdleTimeout } from "./idle-timeout.ts";

function startedAt(start: number, maxPauseSeconds = 2) {
  const clock = { now: start };
  return { clock, timeout: new IdleTimeout({ maxWaitSeconds: 10, maxPauseSeconds }, () => clock.now) };
}

test("the timeout expires after the given time without progress", () => {
  const { clock, timeout } = startedAt(5_000);
  clock.now += 9_999;
  expect([timeout.isOver, timeout.leftMs]).toEqual([false, 1]);
  clock.now += 1;
  expect(timeout.isOver).toBe(true);
});

test("progress cancels a short pause, and of a long one only the short part", () => {
  const { clock, timeout } = startedAt(0);
  for (let turn = 0; turn < 100; turn++) {
    clock.now += 2_000;
    timeout.recordProgress();
  }
  expect(timeout.waitedSeconds).toBe(0);
  clock.now += 9_000;
  timeout.recordProgress();
  expect(timeout.waitedSeconds).toBe(7);
  clock.now += 3_000;
  expect(timeout.isOver).toBe(true);
});

test("waiting adds up to the limit, however often progress interrupts it", () => {
  const { clock, timeout } = startedAt(0);
  let turns = 0;
  for (; !timeout.isOver; turns++) {
    clock.now += 3_000;
    timeout.recordProgress();
  }
  expect(turns).toBe(10);
});

test("time at work is not waiting, and cancels none", async () => {
  const { clock, timeout } = startedAt(0);
  clock.now = 6_000;
  await timeout.whileWorking(async () => {
    clock.now += 60_000;
    expect(timeout.waitedSeconds).toBe(6);
  });
  expect(timeout.waitedSeconds).toBe(6);
  clock.now += 4_000;
  expect(timeout.isOver).toBe(true);
});

test("failed work counts as waiting since its last progress, and concurrent work counts once", async () => {
  const { clock, timeout } = startedAt(0);
  const fail = (afterMs: number) =>
    timeout.whileWorking(async () => {
      await Promise.resolve();
      clock.now += afterMs;
      throw new Error("in vain");
    });
  await expect(
    timeout.whileWorking(async () => {
      clock.now += 60_000;
      timeout.recordProgress();
      clock.now += 1_000;
      throw new Error("in vain");
    }),
  ).rejects.toThrow("in vain");
  expect(timeout.waitedSeconds).toBe(1);
  await Promise.allSettled([fail(3_000), fail(3_000)]);
  expect(timeout.waitedSeconds).toBe(7);
});
