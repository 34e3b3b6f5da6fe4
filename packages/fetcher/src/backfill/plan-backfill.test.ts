// Forecasts of requests, hours and expiring runs.

import { expect, test } from "vitest";

import { planBackfill, type PlannedRepository } from "./plan-backfill.ts";

const now = new Date("2026-11-01T00:00:00Z");
const ago = (days: number) => new Date(now.getTime() - days * 86_400_000);

function repository(changes: Partial<PlannedRepository> = {}, runs = 900, days = 90): PlannedRepository {
  return {
    full_name: "octo/app",
    credential: "token",
    logRetentionDays: 90,
    estimate: {
      parts: [{ start: ago(days), end: now, runs }],
      runs,
      isAtLeast: false,
      attemptsPerRun: 1,
      jobsPerAttempt: 2,
    },
    ...changes,
  };
}

test("a run costs a share of a list request, a job list, and a request per log", () => {
  const plan = planBackfill([repository()], { now, callsPerHour: () => 4_000 });
  expect(plan).toEqual({
    repositories: [{ repository: "octo/app", runs: 900, runs_at_least: false, jobs: 1_800, api_calls: 11 + 900 + 1_800 }],
    runs: 900,
    jobs: 1_800,
    api_calls: 2_711,
    hours: 0.68,
    runs_expired: 0,
    runs_expiring: 0,
  });
});

test("the slowest credential determines the duration; without a known limit there is none", () => {
  const two = [repository(), repository({ credential: "installation-1", full_name: "acme/app" })];
  const plan = planBackfill(two, { now, callsPerHour: (credential) => (credential === "token" ? 1_000 : 100) });
  expect(plan.hours).toBeCloseTo(27.1, 1);
  expect(planBackfill(two, { now, callsPerHour: () => null })).toMatchObject({ hours: null, runs_expiring: 0 });
});

test("runs older than the retention are expired, and runs that expire before their turn are counted", () => {
  const old = planBackfill([repository({ logRetentionDays: 30 })], { now, callsPerHour: () => 100_000 });
  expect(old).toMatchObject({ runs_expired: 600, runs_expiring: 0 });
  // 27,110 calls at ten an hour take 113 days: ten a day expire, and eight are reached.
  const slow = planBackfill([repository({}, 9_000)], { now, callsPerHour: () => 10 });
  expect(slow.hours).toBeCloseTo(2_710, 0);
  expect(slow.runs_expiring / 9_000).toBeGreaterThan(0.9);
  const fast = planBackfill([repository({}, 9_000)], { now, callsPerHour: () => 1_000 });
  expect(fast.runs_expiring).toBeLessThan(300);
});

test("a span without runs costs one list, and a span of no length nothing more", () => {
  expect(planBackfill([repository({}, 0)], { now, callsPerHour: () => 10 })).toMatchObject({ jobs: 0, api_calls: 1, hours: 0.1 });
  expect(planBackfill([repository({}, 0, 0)], { now, callsPerHour: () => 0 })).toMatchObject({ api_calls: 1, runs_expired: 0 });
  expect(planBackfill([], { now, callsPerHour: () => 10 })).toMatchObject({ hours: null, api_calls: 0 });
});
