// One budget for all processes: when a credential is told to wait, every worker waits.
import { RateLimitedError } from "@actions-archive/core/errors";
import { openTestDatabase } from "@actions-archive/testkit/test-database";
import { expect, test, vi } from "vitest";

import { listPausedCredentials, openDatabaseBudget } from "./credentials.ts";

const inSeconds = (seconds: number) => new Date(Date.now() + seconds * 1000);

async function openBudgets(reservePercent = 20) {
  const database = await openTestDatabase();
  const open = () => openDatabaseBudget(database.db, { reservePercent });
  return { one: open(), two: open(), db: database.db, [Symbol.asyncDispose]: () => database[Symbol.asyncDispose]() };
}

test("a pause of one process holds in the other, for that credential alone, with its reason and its time", async () => {
  await using budgets = await openBudgets();
  const until = inSeconds(300);
  await budgets.one.pause("installation-1", until, "a secondary limit");
  for (const budget of [budgets.one, budgets.two]) {
    const refused = budget.acquire("installation-1");
    await expect(refused).rejects.toThrow(RateLimitedError);
    await expect(refused).rejects.toThrow("a secondary limit");
    const error = await refused.catch((reason: unknown) => reason as RateLimitedError);
    expect(Math.abs((error as RateLimitedError).retryAt.getTime() - until.getTime())).toBeLessThan(2_000);
    await expect(budget.acquire("installation-2")).resolves.toBeUndefined();
  }
  expect(await listPausedCredentials(budgets.db)).toMatchObject([
    { credential: "installation-1", pause_reason: "a secondary limit" },
  ]);
});

test("a pause reaches a process that has just been told to go on, within a second", async () => {
  await using budgets = await openBudgets();
  await budgets.two.acquire("token");
  await budgets.one.pause("token", inSeconds(300), "a limit");
  await vi.waitFor(() => expect(budgets.two.acquire("token")).rejects.toThrow(RateLimitedError), {
    timeout: 1_000,
    interval: 50,
  });
});

test("a pause ends by itself", async () => {
  await using budgets = await openBudgets();
  await budgets.one.pause("token", inSeconds(0.3), "a limit");
  await expect(budgets.two.acquire("token")).rejects.toThrow(RateLimitedError);
  for (const budget of [budgets.one, budgets.two])
    await vi.waitFor(() => expect(budget.acquire("token")).resolves.toBeUndefined(), { timeout: 5_000 });
  expect(await listPausedCredentials(budgets.db)).toEqual([]);
});

test("a shorter pause does not end a longer one, not even where it was ordered", async () => {
  await using budgets = await openBudgets();
  await budgets.one.pause("token", inSeconds(300), "long");
  await budgets.one.pause("token", inSeconds(0.01), "short");
  for (const budget of [budgets.one, budgets.two])
    await vi.waitFor(() => expect(budget.acquire("token")).rejects.toThrow("long"), { timeout: 2_000 });
});

test.each([
  { reserve: 20, remaining: 1_001, pauses: false },
  { reserve: 20, remaining: 1_000, pauses: true },
  { reserve: 0, remaining: 1, pauses: false },
  { reserve: 0, remaining: 0, pauses: true },
])(
  "with $reserve percent reserved, $remaining of 5000 requests left pause until the reset: $pauses",
  async ({ reserve, remaining, pauses }) => {
    await using budgets = await openBudgets(reserve);
    await budgets.one.observe("token", { limit: 5_000, remaining, resetAt: inSeconds(600) });
    const outcomes = await Promise.allSettled([budgets.one.acquire("token"), budgets.two.acquire("token")]);
    expect(outcomes.map(({ status }) => status)).toEqual(pauses ? ["rejected", "rejected"] : ["fulfilled", "fulfilled"]);
  },
);
