// What a worker does by the clock, beside its queue.

import { setTimeout as sleep } from "node:timers/promises";

/**
 * Calls `turn` now, and again `restMs` after each has ended: never two at once, and no hurry after a long one.
 * When `resources` end it they wait for the turn in hand, so what it needs is put in there before.
 * @param turn must not throw.
 * @returns the first turn's end.
 */
export function runPeriodically(resources: AsyncDisposableStack, restMs: number, turn: () => Promise<void>): Promise<void> {
  const stop = new AbortController();
  const first = turn();
  const running = first.then(() => furtherTurns(restMs, turn, stop.signal));
  resources.defer(async () => {
    stop.abort();
    await running;
  });
  return first;
}

async function furtherTurns(restMs: number, turn: () => Promise<void>, signal: AbortSignal): Promise<void> {
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
