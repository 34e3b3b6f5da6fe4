// A loader is killed at every call to the outside while logs go: of deciding which, of the seal that says so, and of removing them.

import type { Seal } from "@actions-archive/archive/seal/seal";
import { parseSeal } from "@actions-archive/archive/seal/seal-envelope";
import { sealKey } from "@actions-archive/core/object-key";
import { expect, test } from "vitest";

import type { Evidence } from "../support/crash/beginning.ts";
import { withoutNow } from "../support/crash/evidence.ts";
import { goes, openRemoveStage, stays } from "../support/crash/remove-stage.ts";
import { crashAtEveryCall } from "../support/crash/stage.ts";

const lastSeal = sealKey(2);

// A seal names when it was made: its hash is another each time.
function sealOf(key: string, bytes: Buffer): unknown {
  return key === lastSeal ? withoutNow(parseSeal(bytes, key).seal) : undefined;
}

/** Keys whose going is told by the newest seal in the store. */
function buried({ objects }: Evidence): string[] {
  const seal = objects[lastSeal] as Pick<Seal, "tombstones"> | undefined;
  return seal?.tombstones.map(({ key }) => key) ?? [];
}

test("kill -9 at every call of removing logs: none goes before its tombstone is sealed, none that is held, and in the end the others", async ({
  annotate,
}) => {
  await using stage = await openRemoveStage();
  const seen = { undecided: 0, sealed: 0 };
  const { calls, deaths, end } = await crashAtEveryCall({
    ...stage.begin,
    forget: { seals: ["payload", "sha256"] },
    objectOf: sealOf,
    checkInvariants(left) {
      const gone = goes.filter((key) => !(key in left.objects));
      expect(buried(left)).toEqual(expect.arrayContaining(gone));
      expect(stays.filter((key) => !(key in left.objects))).toEqual([]);
      if (left.rows["tombstones"]?.length === 1) seen.undecided += 1;
      if (gone.length === 0 && buried(left).length === 2) seen.sealed += 1;
    },
  });
  await annotate(`${calls} calls, ${deaths} deaths: ${seen.sealed} between the seal and the first removal`, "F35");
  expect(goes.filter((key) => key in end.objects)).toEqual([]);
  expect(seen.undecided).toBeGreaterThan(0);
  expect(seen.sealed).toBeGreaterThan(0);
});
