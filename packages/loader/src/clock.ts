// What the loader does by the clock, beside the queue.

import { setInterval } from "node:timers/promises";

/**
 * Calls `turn` now and then every `turnMs`, never two at once, until `resources` end it, which wait for the turn in hand.
 * @param turn must not throw.
 */
export function runByTheClock(resources: AsyncDisposableStack, turnMs: number, turn: () => Promise<void>): void {
  const stop = new AbortController();
  const running = turns(turnMs, turn, stop.signal);
  resources.defer(async () => {
    stop.abort();
    await running;
  });
}

async function turns(turnMs: number, turn: () => Promise<void>, signal: AbortSignal): Promise<void> {
  await turn();
  try {
    for await (const _tick of setInterval(turnMs, undefined, { signal })) await turn();
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
