import { expect, test } from "vitest";

import { Patience } from "./patience.ts";

function startedAt(start: number) {
  const clock = { now: start };
  return { clock, patience: new Patience(10, () => clock.now) };
}

test("patience is over when nothing moved for as long as was asked", () => {
  const { clock, patience } = startedAt(5_000);
  clock.now += 9_999;
  expect([patience.isOver, patience.leftMs]).toEqual([false, 1]);
  clock.now += 1;
  expect(patience.isOver).toBe(true);
});

test("progress gives all of it back", () => {
  const { clock, patience } = startedAt(0);
  clock.now = 9_000;
  patience.noteProgress();
  clock.now = 18_000;
  expect(patience.waitedSeconds).toBe(9);
});

test("time at work is not waiting, and work that ends in vain gives nothing back", async () => {
  const { clock, patience } = startedAt(0);
  clock.now = 6_000;
  await patience.whileWorking(async () => {
    clock.now += 60_000;
    expect(patience.waitedSeconds).toBe(6);
  });
  expect(patience.waitedSeconds).toBe(6);
  clock.now += 4_000;
  expect(patience.isOver).toBe(true);
});
