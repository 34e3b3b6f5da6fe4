// The same seed gives the same weather; every kind comes, and none after the end.

import fc from "fast-check";
import { expect, test } from "vitest";

import { forecast, faultKinds } from "./schedule.ts";

test("the same seed gives the same weather, another seed another", () => {
  fc.assert(
    fc.property(fc.integer(), fc.integer(), (seed, other) => {
      fc.pre(seed !== other);
      const of = (each: number) => forecast({ seed: each, minutes: 3, kinds: faultKinds });
      expect(of(seed)).toEqual(of(seed));
      expect(of(seed)).not.toEqual(of(other));
    }),
    { numRuns: 20 },
  );
});

test("in ten minutes every kind comes, in order, and none when it is over", () => {
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const gusts = forecast({ seed, minutes: 10, kinds: faultKinds });
      expect(new Set(gusts.map(({ kind }) => kind))).toEqual(new Set(faultKinds));
      expect(gusts.map(({ atMs }) => atMs)).toEqual(gusts.map(({ atMs }) => atMs).toSorted((left, right) => left - right));
      expect(gusts.at(-1)?.atMs).toBeLessThan(600_000);
      expect(gusts.every(({ draw }) => draw >= 0 && draw < 1)).toBe(true);
    }),
    { numRuns: 20 },
  );
});
