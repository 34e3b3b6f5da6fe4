// Runs a worker's periodic maintenance, apart from its queue.

import { setTimeout as sleep } from "node:timers/promises";

/**
 * Calls `turn` now, and again `restMs` after each call has ended. Calls never overlap, and a long call delays the next one.
 * Disposing `resources` waits for the running call, so resources that it needs must be added before.
 * @param turn must not throw.
 * @returns a promise of the end of the first call.
 */
export function runPeriodically(resources: AsyncDisposableStack, restMs: number, turn: () => Promise<void>): Promise<void> {
  const stop = new AbortController();
  const first = turn();
  const running = first.then(() => repeat(restMs, turn, stop.signal));
  resources.defer(async () => {
    stop.abort();
    await running;
  });
  return first;
}

async function repeat(restMs: number, turn: () => Promise<void>, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      await sleep(restMs, undefined, { signal });
    } catch (error) {
      if (!signal.aborted) throw error;
      return;
    }
    await turn();
  }
}
