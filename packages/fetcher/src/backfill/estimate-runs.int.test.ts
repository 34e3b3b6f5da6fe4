// Estimates from GitHub's counts, which are capped at 2,500.

import { expect, test } from "vitest";

import { openHarness } from "../../test-support/harness.ts";
import { estimateRuns } from "./estimate-runs.ts";

const repository = "acme/app";
const now = () => new Date();
const signal = () => AbortSignal.timeout(20_000);

test("a span is counted in a few requests, and its jobs are estimated from a sample", async () => {
  await using harness = await openHarness();
  harness.simulator.control.addRepository({ repository });
  for (let run = 0; run < 60; run++)
    harness.simulator.control.addRun({ repository, jobs: [{ name: "a" }, { name: "b" }], completedSecondsAgo: 600 + 60 * run });
  const span = { start: new Date(Date.now() - 86_400_000), end: now() };
  const estimate = await estimateRuns(harness.fetcher, repository, span, signal());
  expect(estimate).toEqual({ parts: [{ ...span, runs: 60 }], runs: 60, isAtLeast: false, attemptsPerRun: 1, jobsPerAttempt: 2 });
  expect(harness.requests().length).toBeLessThanOrEqual(7);
  const before = { start: new Date(span.start.getTime() - 1000), end: span.start };
  expect(await estimateRuns(harness.fetcher, repository, before, signal())).toMatchObject({ runs: 0, jobsPerAttempt: 1 });
});

test("a capped count is split into halves, and a capped hour is reported as a lower bound", async () => {
  await using harness = await openHarness();
  harness.simulator.control.addRepository({ repository });
  const added = { crowded: 2_600, spread: 700 };
  for (let run = 0; run < added.crowded; run++)
    harness.simulator.control.addRun({ repository, completedSecondsAgo: 7_200 + (run % 60) });
  for (let run = 0; run < added.spread; run++)
    harness.simulator.control.addRun({ repository, completedSecondsAgo: 40_000 + 60 * run });
  const span = { start: new Date(Date.now() - 2 * 86_400_000), end: now() };
  const { parts, runs, isAtLeast } = await estimateRuns(harness.fetcher, repository, span, signal());
  expect(isAtLeast).toBe(true);
  expect(runs).toBe(2_500 + added.spread);
  expect(parts[0]?.start).toEqual(span.start);
  expect(parts.at(-1)?.end).toEqual(span.end);
  expect(parts.slice(1).every((part, index) => part.start.getTime() === parts[index]?.end.getTime())).toBe(true);
});
