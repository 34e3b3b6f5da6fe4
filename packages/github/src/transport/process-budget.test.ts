// The budget of a program that is alone on its credential.

import { expect, test, vi } from "vitest";

import { createProcessBudget } from "./process-budget.ts";

test("a paused credential waits, others go on, and a shorter pause does not shorten a longer one", async () => {
  vi.useFakeTimers();
  try {
    const budget = createProcessBudget();
    const until = new Date(Date.now() + 10_000);
    await budget.pause("a", { waitMs: 10_000, reason: "secondary limit", isGuess: true });
    expect(await budget.pause("a", { waitMs: 1_000, reason: "later and shorter", isGuess: false })).toEqual(until);
    await expect(budget.acquire("a")).rejects.toMatchObject({ code: "github/rate-limited", retryAt: until });
    await budget.acquire("b");
    vi.setSystemTime(until);
    await budget.acquire("a");
  } finally {
    vi.useRealTimers();
  }
});

test("nothing remaining is a pause until the reset", async () => {
  vi.useFakeTimers();
  try {
    const budget = createProcessBudget();
    const reading = { limit: 5_000, used: 4_999, resetAtSeconds: 0, resetInMs: 60_000 };
    (await budget.acquire("a")).end({ reading, isFree: false });
    (await budget.acquire("a")).end({ reading: { ...reading, used: 5_000 }, isFree: false });
    await expect(budget.acquire("a")).rejects.toMatchObject({ retryAt: new Date(Date.now() + 60_000) });
  } finally {
    vi.useRealTimers();
  }
});
