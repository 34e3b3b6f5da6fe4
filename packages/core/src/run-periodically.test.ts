// Periodic calls never overlap, have a delay between them, and disposal waits for the running one.

import { expect, test, vi } from "vitest";

import { runPeriodically } from "./run-periodically.ts";

test("a long turn is followed by a rest, and not by the turns that it kept from running", async () => {
  const turns: { readonly began: number; readonly ended: number }[] = [];
  await using resources = new AsyncDisposableStack();
  const first = runPeriodically(resources, 50, async () => {
    const began = performance.now();
    const longMs = turns.length === 0 ? 300 : 0;
    await vi.waitUntil(() => performance.now() - began >= longMs);
    turns.push({ began, ended: performance.now() });
  });
  await first;
  expect(turns).toHaveLength(1);
  await expect.poll(() => turns.length, { timeout: 10_000 }).toBeGreaterThanOrEqual(3);
  const rests = turns.slice(1).map(({ began }, index) => began - (turns[index]?.ended ?? 0));
  // A timer may fire a millisecond early.
  expect(Math.min(...rests)).toBeGreaterThan(48);
});

test("disposal waits for the running call, whose resources are still open, and no call follows", async () => {
  const said: string[] = [];
  const resources = new AsyncDisposableStack();
  resources.defer(() => void said.push("closed"));
  const inHand = Promise.withResolvers<void>();
  void runPeriodically(resources, 0, async () => {
    said.push("began");
    await inHand.promise;
    said.push("ended");
  });
  const disposed = resources.disposeAsync();
  await new Promise(setImmediate);
  expect(said).toEqual(["began"]);
  inHand.resolve();
  await disposed;
  await new Promise(setImmediate);
  expect(said).toEqual(["began", "ended", "closed"]);
});
