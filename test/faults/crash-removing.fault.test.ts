// A loader is killed at every external call of a removal: deciding which logs to remove, sealing the decision, and removing them.

import type { Seal } from "@actions-archive/archive/seal/seal";
import { parseSeal } from "@actions-archive/archive/seal/seal-envelope";
import { sealKey } from "@actions-archive/core/object-key";
import { expect, test } from "vitest";

import { crashAtEveryCall } from "../support/crash/crash-at-every-call.ts";
import { maskNow } from "../support/crash/evidence.ts";
import type { Evidence } from "../support/crash/initial-state.ts";
import { removedKeys, openRemoveScenario, keptKeys } from "../support/crash/remove-scenario.ts";

const lastSeal = sealKey(2);

// A seal contains its time, so its hash varies.
function sealOf(key: string, bytes: Buffer): unknown {
  return key === lastSeal ? maskNow(parseSeal(bytes, key).seal) : undefined;
}

/** @returns keys whose removal the newest seal in the store records. */
function tombstonedKeys({ objects }: Evidence): string[] {
  const seal = objects[lastSeal] as Pick<Seal, "tombstones"> | undefined;
  return seal?.tombstones.map(({ key }) => key) ?? [];
}

test("kill -9 at every call of removing logs: none goes before its tombstone is sealed, none that is held, and in the end the others", async ({
  annotate,
}) => {
  await using scenario = await openRemoveScenario();
  const seen = { undecided: 0, sealed: 0 };
  const { calls, crashes, end } = await crashAtEveryCall({
    ...scenario.begin,
    forget: { seals: ["payload", "sha256"] },
    objectOf: sealOf,
    check(left) {
      const gone = removedKeys.filter((key) => !(key in left.objects));
      expect(tombstonedKeys(left)).toEqual(expect.arrayContaining(gone));
      expect(keptKeys.filter((key) => !(key in left.objects))).toEqual([]);
      if (left.rows["tombstones"]?.length === 1) seen.undecided += 1;
      if (gone.length === 0 && tombstonedKeys(left).length === 2) seen.sealed += 1;
    },
  });
  await annotate(`${calls} calls, ${crashes} crashes: ${seen.sealed} between the seal and the first removal`, "F35");
  expect(removedKeys.filter((key) => key in end.objects)).toEqual([]);
  expect(seen.undecided).toBeGreaterThan(0);
  expect(seen.sealed).toBeGreaterThan(0);
});
