// The month scenario has the documented content, and is a function of its seed.

import { expect, test } from "vitest";

import { dayMs } from "../durations.ts";
import { settle } from "../options.ts";
import { Builder, endOf } from "./builder.ts";
import type { Run } from "./model.ts";
import { generateMonth, monthDays, monthLogs } from "./month.ts";
import { World } from "./world.ts";

const startMs = Date.UTC(2026, 9, 1);

function makeMonth(scale: number, seed = 1) {
  const world = new World();
  const settings = settle({ scenario: "month", scale, seed });
  const month = generateMonth(new Builder(world, seed, { ...settings.logs, ...monthLogs }), settings, startMs);
  return { world, month, runs: [...world.runs.values()] };
}

const share = (runs: readonly Run[], choice: (run: Run) => boolean) => runs.filter(choice).length / runs.length;

test("at full size it is 40,000 runs in 20 repositories, one and a half jobs each, one in ten run again", () => {
  const { world, month, runs } = makeMonth(1);
  expect(world.repositories).toHaveLength(20);
  expect(Math.round(runs.length / 1000)).toBe(40);
  const firstJobs = runs.flatMap(({ attempts }) => attempts[0]?.jobs ?? []);
  expect(firstJobs.length / runs.length).toBeCloseTo(1.5, 1);
  expect(share(runs, ({ attempts }) => attempts.length > 1)).toBeCloseTo(0.1, 1);
  expect(runs.filter(({ attempts }) => attempts.length === 40)).toHaveLength(8);
  const busiest = Map.groupBy(world.repositories[0]?.runs ?? [], ({ createdAtMs }) => Math.floor(createdAtMs / dayMs));
  expect([...busiest.values()].map(({ length }) => length).filter((length) => length >= 5_000)).toHaveLength(4);
  const minutes = Map.groupBy(runs, (run) => `${run.repository.id} ${Math.floor(run.createdAtMs / 60_000)}`);
  expect([...minutes.values()].filter(({ length }) => length >= 1_200)).toHaveLength(3);
  expect(month.watched).toHaveLength(8);
  expect(month.monthEvents.length).toBeGreaterThan(50);
});

test("runs are run again after 29 days, go on for days, and two never end", () => {
  const { runs } = makeMonth(0.05);
  const laterDays = runs.flatMap(({ createdAtMs, attempts }) =>
    attempts.map((attempt) => (attempt.createdAtMs - createdAtMs) / dayMs),
  );
  expect(laterDays.filter((days) => days >= 29).length).toBeGreaterThanOrEqual(3);
  expect(Math.max(...laterDays)).toBeLessThanOrEqual(30);
  const open = runs.filter(({ attempts }) =>
    attempts.some(({ jobs }) => jobs.some(({ completedAtMs }) => completedAtMs === null)),
  );
  expect(open).toHaveLength(2);
  // What begins in the month ends at most a day after it.
  expect(Math.max(...runs.map(endOf))).toBeLessThan(startMs + (monthDays + 1) * dayMs);
});

test("the same seed makes the same month, another one another", () => {
  const idsOf = (seed: number) => makeMonth(0.01, seed).runs.map(({ id, attempts }) => [id, attempts.length]);
  expect(idsOf(3)).toEqual(idsOf(3));
  expect(idsOf(3)).not.toEqual(idsOf(4));
});
