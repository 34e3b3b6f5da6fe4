// Seeded random numbers: the same keys give the same numbers, independently of other streams. The simulated world is a function of its
// seed, so a failing test can be reproduced from one number.

import { createHash } from "node:crypto";

export type Random = {
  /** In [0, 1). */
  readonly next: () => number;
  /** An integer from `min` to `max`, both inclusive. */
  readonly int: (min: number, max: number) => number;
  readonly pick: <T>(items: readonly T[]) => T;
  readonly chance: (probability: number) => boolean;
};

/** Creates a stream of numbers that depends on `keys` only. */
export function createRandom(...keys: readonly (string | number)[]): Random {
  let state = hashOf(keys.join("/"));
  // mulberry32: 32 bits of state suffice for a stream of a few hundred numbers.
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
  const int = (min: number, max: number) => min + Math.floor(next() * (max - min + 1));
  return {
    next,
    int,
    pick: (items) => {
      const item = items[int(0, items.length - 1)];
      if (item === undefined) throw new RangeError("nothing to pick from");
      return item;
    },
    chance: (probability) => next() < probability,
  };
}

/** Lower-case hex that depends on `keys` only, for ids, SHAs and GUIDs. */
export function hexOf(length: number, ...keys: readonly (string | number)[]): string {
  let hex = "";
  for (let round = 0; hex.length < length; round++)
    hex += createHash("sha256")
      .update(`${round}/${keys.join("/")}`)
      .digest("hex");
  return hex.slice(0, length);
}

/** A GUID that depends on `keys` only. */
export function guidOf(...keys: readonly (string | number)[]): string {
  const hex = hexOf(32, ...keys);
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

// FNV-1a with a final mix: cheap, since every job has its own stream.
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  return Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35) ^ (hash >>> 16);
}
