// Two minutes of every kind of fault, on each pair of engines. `npx pnpm soak` runs longer.

import { realS3 } from "@actions-archive/testkit/test-s3";
import { expect, test } from "vitest";

import { soak } from "../support/chaos/soak.ts";

test.for([
  { queue: "redis", seed: 1 },
  { queue: "postgres", seed: 2 },
] as const)("random faults break no promise (queue on $queue)", async ({ queue, seed }, { annotate }) => {
  // s3rver lists the first page only.
  const store = queue === "redis" && (await realS3()) !== undefined ? "s3" : "folder";
  const report = await soak({ queue, store, seed, minutes: 2, scale: 0.01, onProgress: () => undefined });
  expect(report.verdict.violations).toEqual([]);
  expect(report.pass).toEqual({ code: 0, printed: expect.stringContaining("Complete.") });
  const faults = [...report.faults.values()].reduce((sum, count) => sum + count, 0);
  await annotate(
    `seed ${seed}, queue on ${queue}, store ${store}: ${faults} faults, ${report.spoiled.github + report.spoiled.store} requests spoiled, ${report.crashes} processes killed; ${report.verdict.jobs} jobs; calm after ${report.quiesceSeconds.toFixed(1)} s, a fresh job in ${report.freshJobSeconds?.toFixed(1)} s; no violation`,
    "F40",
  );
});
