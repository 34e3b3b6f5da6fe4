// The budget of a program that is alone on its credential.
import { expect, test, vi } from "vitest";

import { createProcessBudget } from "./process-budget.ts";

test("a paused credential waits, others go on, and a shorter pause does not shorten a longer one", async () => {
  vi.useFakeTimers();
  try {
    const budget = createProcessBudget();
    const until = new Date(Date.now() + 10_000);
    await budget.pause("a", until, "secondary limit");
    await budget.pause("a", new Date(Date.now() + 1_000), "later and shorter");
    await expect(budget.acquire("a")).rejects.toMatchObject({ code: "github/rate-limited", retryAt: until });
    await budget.acquire("b");
    vi.setSystemTime(until);
    await budget.acquire("a");
  } finally {
    vi.useRealTimers();
  }
});

test("nothing remaining is a pause until the reset", async () => {
  const budget = createProcessBudget();
  const resetAt = new Date(Date.now() + 60_000);
  await budget.observe("a", { limit: 5_000, remaining: 1, resetAt });
  await budget.acquire("a");
  await budget.observe("a", { limit: 5_000, remaining: 0, resetAt });
  await expect(budget.acquire("a")).rejects.toMatchObject({ retryAt: resetAt });
});
