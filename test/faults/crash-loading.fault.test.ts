// A loader is killed at every external call of loading jobs, records and a run, and of sealing.

import { parseSeal } from "@actions-archive/archive/seal/seal-envelope";
import { expect, test } from "vitest";

import { crashAtEveryCall } from "../support/crash/crash-at-every-call.ts";
import { maskNow } from "../support/crash/evidence.ts";
import type { Evidence } from "../support/crash/initial-state.ts";
import { openLoadScenario, openSealScenario } from "../support/crash/load-scenario.ts";

test("kill -9 at every call of a loader leads to the same rows and the same run record", async ({ annotate }) => {
  await using scenario = await openLoadScenario();
  const { calls, crashes } = await crashAtEveryCall(scenario.begin);
  await annotate(`${calls} calls, ${crashes} crashes`, "F35");
});

// A seal contains its time, so its hash varies.
function sealOf(key: string, bytes: Buffer): unknown {
  return key === "seals/000000000002.json" ? maskNow(parseSeal(bytes, key).seal) : undefined;
}

/** @returns what the database holds of the second seal. */
function sealInHand({ rows }: Evidence): unknown {
  return rows["seals"]?.map((row) => row as { sequence: number; published_at: unknown }).find(({ sequence }) => sequence === 2);
}

test("kill -9 at every call of sealing leads to one chain that holds the same", async ({ annotate }) => {
  await using scenario = await openSealScenario();
  let cutBeforePut = 0;
  let cutBeforePublishing = 0;
  const { calls, crashes } = await crashAtEveryCall({
    ...scenario.begin,
    forget: { seals: ["payload", "sha256"] },
    objectOf: sealOf,
    check(left) {
      const prepared = sealInHand(left);
      const isPut = "seals/000000000002.json" in left.objects;
      if (prepared !== undefined && !isPut) cutBeforePut += 1;
      if (isPut && (prepared as { published_at: unknown }).published_at === null) cutBeforePublishing += 1;
    },
  });
  await annotate(
    `${calls} calls, ${crashes} crashes: ${cutBeforePut} between preparing and the store, ${cutBeforePublishing} before publishing`,
    "F35",
  );
  expect(cutBeforePut).toBeGreaterThan(0);
  expect(cutBeforePublishing).toBeGreaterThan(0);
});
