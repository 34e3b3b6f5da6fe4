// Who works together, and who alone.

import { expect, test } from "vitest";

import { RwLock } from "./rw-lock.ts";

const { signal } = new AbortController();

/** Work that lasts until it is told to end. */
function workOf(told: string[], name: string) {
  const { promise, resolve } = Promise.withResolvers<void>();
  const work = async () => {
    told.push(`${name} begins`);
    await promise;
    told.push(`${name} ends`);
  };
  return { work, end: resolve };
}

test("who wants to be alone waits for those who work, and those who come later wait for it", async () => {
  const gate = new RwLock();
  const told: string[] = [];
  const [one, two, alone, late] = ["one", "two", "alone", "late"].map((name) => workOf(told, name));
  if (!one || !two || !alone || !late) throw new Error("no work");
  const all = [
    gate.together(signal, one.work),
    gate.together(signal, two.work),
    gate.alone(signal, alone.work),
    gate.together(signal, late.work),
  ];
  await expect.poll(() => told).toEqual(["one begins", "two begins"]);
  for (const { end } of [late, alone, two, one]) end();
  await Promise.all(all);
  expect(told.slice(2)).toEqual([
    expect.stringMatching(/(one|two) ends/),
    expect.stringMatching(/(one|two) ends/),
    "alone begins",
    "alone ends",
    "late begins",
    "late ends",
  ]);
});

test("who gives up waiting is told why, and holds up nobody; work that throws does neither", async () => {
  const gate = new RwLock();
  const told: string[] = [];
  const first = workOf(told, "first");
  const working = gate.together(signal, first.work);
  const stop = new AbortController();
  const waiting = gate.alone(stop.signal, async () => void told.push("never"));
  const next = gate.together(signal, async () => {
    throw new Error("broken");
  });
  stop.abort(new Error("shutting down"));
  await expect(waiting).rejects.toThrow("shutting down");
  first.end();
  await expect(next).rejects.toThrow("broken");
  await working;
  await gate.alone(signal, async () => void told.push("alone"));
  expect(told).toEqual(["first begins", "first ends", "alone"]);
});

test("two gates know nothing of each other", async () => {
  const [one, other] = [new RwLock(), new RwLock()];
  await one.alone(signal, () => other.alone(signal, async () => undefined));
});
