// One wrong answer heals by being read again: a list that does not show what it promised is read a few times before it is believed
// to be incomplete.

import { setTimeout as sleep } from "node:timers/promises";

/** How often a list is read within one scan, and how long it is waited for in between. */
const waitsMs = [100, 400];

/** Calls `read` until `isWhole`, at most three times; the last reading is returned, whole or not. @throws what `read` throws. */
export async function readUntilComplete<T>(
  read: () => Promise<T>,
  isWhole: (reading: T) => boolean,
  signal: AbortSignal,
): Promise<T> {
  for (const waitMs of waitsMs) {
    const reading = await read();
    if (isWhole(reading)) return reading;
    await sleep(waitMs, undefined, { signal });
  }
  return read();
}
