// A loader is killed at every call to the outside: of loading jobs, records and a run, and of sealing.

import { parseSeal } from "@actions-archive/archive/seal/seal-envelope";
import { expect, test } from "vitest";

import type { Evidence } from "../support/crash/beginning.ts";
import { withoutNow } from "../support/crash/evidence.ts";
import { openLoadStage, openSealStage } from "../support/crash/load-stage.ts";
import { crashAtEveryCall } from "../support/crash/stage.ts";

test("kill -9 at every call of a loader leads to the same rows and the same run record", async ({ annotate }) => {
  await using stage = await openLoadStage();
  const { calls, deaths } = await crashAtEveryCall(stage.begin);
  await annotate(`${calls} calls, ${deaths} deaths`, "F35");
});

// A seal names when it was made: its hash is another each time.
function sealOf(key: string, bytes: Buffer): unknown {
  return key === "seals/000000000002.json" ? withoutNow(parseSeal(bytes, key).seal) : undefined;
}

/** What the database has of the second seal. */
function sealInHand({ rows }: Evidence): unknown {
  return rows["seals"]?.map((row) => row as { sequence: number; published_at: unknown }).find(({ sequence }) => sequence === 2);
}

test("kill -9 at every call of sealing leads to one chain that holds the same", async ({ annotate }) => {
  await using stage = await openSealStage();
  let cutBeforePut = 0;
  let cutBeforePublishing = 0;
  const { calls, deaths } = await crashAtEveryCall({
    ...stage.begin,
    forget: { seals: ["payload", "sha256"] },
    objectOf: sealOf,
    checkInvariants(left) {
      const prepared = sealInHand(left);
      const isPut = "seals/000000000002.json" in left.objects;
      if (prepared !== undefined && !isPut) cutBeforePut += 1;
      if (isPut && (prepared as { published_at: unknown }).published_at === null) cutBeforePublishing += 1;
    },
  });
  await annotate(
    `${calls} calls, ${deaths} deaths: ${cutBeforePut} between preparing and the store, ${cutBeforePublishing} before publishing`,
    "F35",
  );
  expect(cutBeforePut).toBeGreaterThan(0);
  expect(cutBeforePublishing).toBeGreaterThan(0);
});
