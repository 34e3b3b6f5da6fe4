// The demo world has every final state, completed long before now, and is reproducible from its seed.

import { expect, test } from "vitest";

import { expectedOf } from "../log/expected.ts";
import { logContent } from "../log/log-content.ts";
import { settle } from "../options.ts";
import { Builder, latestAttempt } from "./builder.ts";
import { demoLogs, generateDemo } from "./demo.ts";
import { fullNameOf, World } from "./world.ts";

const startMs = Date.UTC(2026, 10, 20, 9, 30);

function makeDemo(seed = 1): World {
  const world = new World();
  generateDemo(new Builder(world, seed, demoLogs), settle({ seed, scenario: "demo" }), startMs);
  return world;
}

test("the demo holds at least 320 jobs and less than 40 MB of logs, with GitHub's heavy tail", () => {
  const sizes = [...makeDemo().jobs.values()].filter((job) => job.copyOf === undefined).map((job) => logContent(job)?.bytes ?? 0);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const largest = sizes.toSorted((left, right) => right - left).slice(0, 2);
  expect(sizes.length).toBeGreaterThanOrEqual(320);
  expect(total).toBeLessThan(40_000_000);
  expect(largest.reduce((sum, size) => sum + size, 0) / total).toBeGreaterThan(0.55);
});

test("every end that a job can have is in the demo", async () => {
  const ends = new Set<string>();
  for (const job of makeDemo().jobs.values()) {
    const expected = await expectedOf(job, startMs);
    if (expected) ends.add([expected.state, "reason" in expected ? expected.reason : expected.flags.join()].join(" ").trim());
  }
  expect([...ends].toSorted()).toEqual([
    "absent copied",
    "absent deleted",
    "absent empty",
    "absent expired",
    "absent not_a_job",
    "absent not_run",
    "archived",
    "archived no_end_marker",
  ]);
});

test("all runs but one ended more than ten minutes before now", () => {
  const open = [...makeDemo().runs.values()].filter((run) =>
    latestAttempt(run).jobs.some((job) => (job.completedAtMs ?? Infinity) > startMs - 600_000),
  );
  expect(open).toHaveLength(1);
});

test("a run with many attempts, a renamed and a transferred repository and a deleted run are there", () => {
  const world = makeDemo();
  expect(Math.max(...[...world.runs.values()].map((run) => run.attempts.length))).toBeGreaterThanOrEqual(25);
  expect(world.findRepository("acme/legacy-shop")?.found).toBe("moved");
  expect(world.findRepository("ACME/billing")?.found).toBe("moved");
  expect([...world.runs.values()].filter((run) => run.deleted)).toHaveLength(1);
  expect(world.repositories.map(fullNameOf)).toContain("acme/shop");
});

test("the same seed and start give the same ids, another seed gives others", () => {
  const ids = (world: World) => [...world.jobs.keys()];
  expect(ids(makeDemo())).toEqual(ids(makeDemo()));
  expect(ids(makeDemo(2))).not.toEqual(ids(makeDemo()));
});

test("ids are large, unique and grow with time", () => {
  const world = makeDemo();
  const runs = [...world.runs.values()].toSorted((left, right) => left.createdAtMs - right.createdAtMs).map((run) => run.id);
  expect(runs).toEqual(runs.toSorted((left, right) => left - right));
  expect(Math.min(...world.jobs.keys())).toBeGreaterThan(2 ** 31);
});
