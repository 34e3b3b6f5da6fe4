// The chaos schedule: reproducible from its seed, and complete.

import fc from "fast-check";
import { expect, test } from "vitest";

import { scheduleFaults, faultKinds } from "./schedule.ts";

test("the same seed gives the same schedule, and another seed another", () => {
  fc.assert(
    fc.property(fc.integer(), fc.integer(), (seed, other) => {
      fc.pre(seed !== other);
      const of = (each: number) => scheduleFaults({ seed: each, minutes: 3, kinds: faultKinds });
      expect(of(seed)).toEqual(of(seed));
      expect(of(seed)).not.toEqual(of(other));
    }),
    { numRuns: 20 },
  );
});

test("a schedule of ten minutes has every kind, in order of time, and nothing after its end", () => {
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const faults = scheduleFaults({ seed, minutes: 10, kinds: faultKinds });
      expect(new Set(faults.map(({ kind }) => kind))).toEqual(new Set(faultKinds));
      expect(faults.map(({ atMs }) => atMs)).toEqual(faults.map(({ atMs }) => atMs).toSorted((left, right) => left - right));
      expect(faults.at(-1)?.atMs).toBeLessThan(600_000);
      expect(faults.every(({ draw }) => draw >= 0 && draw < 1)).toBe(true);
    }),
    { numRuns: 20 },
  );
});
