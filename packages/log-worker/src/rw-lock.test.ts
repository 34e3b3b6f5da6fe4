// Shared and exclusive work under one lock.

import { expect, test } from "vitest";

import { RwLock } from "./rw-lock.ts";

const { signal } = new AbortController();

/** Work that lasts until `end` is called. */
function workOf(events: string[], name: string) {
  const { promise, resolve } = Promise.withResolvers<void>();
  const work = async () => {
    events.push(`${name} begins`);
    await promise;
    events.push(`${name} ends`);
  };
  return { work, end: resolve };
}

test("exclusive work waits for running work, and later work waits for it", async () => {
  const lock = new RwLock();
  const events: string[] = [];
  const [one, two, exclusive, late] = ["one", "two", "exclusive", "late"].map((name) => workOf(events, name));
  if (!one || !two || !exclusive || !late) throw new Error("no work");
  const all = [
    lock.shared(signal, one.work),
    lock.shared(signal, two.work),
    lock.exclusive(signal, exclusive.work),
    lock.shared(signal, late.work),
  ];
  await expect.poll(() => events).toEqual(["one begins", "two begins"]);
  for (const { end } of [late, exclusive, two, one]) end();
  await Promise.all(all);
  expect(events.slice(2)).toEqual([
    expect.stringMatching(/(one|two) ends/),
    expect.stringMatching(/(one|two) ends/),
    "exclusive begins",
    "exclusive ends",
    "late begins",
    "late ends",
  ]);
});

test("an aborted wait rejects with the reason and blocks no other work; failed work blocks none either", async () => {
  const lock = new RwLock();
  const events: string[] = [];
  const first = workOf(events, "first");
  const working = lock.shared(signal, first.work);
  const stop = new AbortController();
  const waiting = lock.exclusive(stop.signal, async () => void events.push("never"));
  const next = lock.shared(signal, async () => {
    throw new Error("broken");
  });
  stop.abort(new Error("shutting down"));
  await expect(waiting).rejects.toThrow("shutting down");
  first.end();
  await expect(next).rejects.toThrow("broken");
  await working;
  await lock.exclusive(signal, async () => void events.push("exclusive"));
  expect(events).toEqual(["first begins", "first ends", "exclusive"]);
});

test("two locks are independent", async () => {
  const [one, other] = [new RwLock(), new RwLock()];
  await one.exclusive(signal, () => other.exclusive(signal, async () => undefined));
});
