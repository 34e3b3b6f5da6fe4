// What a worker does by the clock, beside its queue.

import { setTimeout as sleep } from "node:timers/promises";

/**
 * Calls `turn` now, and again `restMs` after each has ended: never two at once, and no hurry after a long one. Returns at once.
 * When `resources` end it they wait for the turn in hand, so what it needs is put in there before.
 * @param turn must not throw.
 */
export function runByTheClock(resources: AsyncDisposableStack, restMs: number, turn: () => Promise<void>): void {
  const stop = new AbortController();
  const running = turns(restMs, turn, stop.signal);
  resources.defer(async () => {
    stop.abort();
    await running;
  });
}

async function turns(restMs: number, turn: () => Promise<void>, signal: AbortSignal): Promise<void> {
  for (;;) {
    await turn();
    try {
      await sleep(restMs, undefined, { signal });
    } catch (error) {
      if (!signal.aborted) throw error;
      return;
    }
  }
}
