// Retries incomplete reads: a list with fewer items than GitHub counts is read up to three times before it is taken as
// incomplete.

import { setTimeout as sleep } from "node:timers/promises";

/** The delays between the reads. */
const waitsMs = [100, 400];

/** Calls `read` until `isComplete`, at most three times. @returns the last reading, complete or not. @throws what `read` throws. */
export async function readUntilComplete<T>(
  read: () => Promise<T>,
  isComplete: (reading: T) => boolean,
  signal: AbortSignal,
): Promise<T> {
  for (const waitMs of waitsMs) {
    const reading = await read();
    if (isComplete(reading)) return reading;
    await sleep(waitMs, undefined, { signal });
  }
  return read();
}
