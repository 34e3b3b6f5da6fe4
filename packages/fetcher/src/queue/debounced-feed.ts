// Feeds the queue soon after it is asked to, one feeding at a time: many deliveries at once need one, and no answer waits for it.

import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";

/** Under a steady stream of reasons a feeding takes a part of the time, and not all of it. */
const restMs = 100;

export type DebouncedFeed = AsyncDisposable & {
  /** Feeds after what runs now has ended. Never throws. */
  readonly ask: () => void;
};

/** Disposing waits for the feeding that runs. @param feed must not throw; a feeding that fails is made up by the next tick. */
export function openDebouncedFeed(feed: () => Promise<void>): DebouncedFeed {
  let running: Promise<void> | undefined;
  let isWanted = false;
  const run = async () => {
    while (isWanted) {
      await nextTurn();
      isWanted = false;
      await feed();
      await sleep(restMs);
    }
    running = undefined;
  };
  return {
    ask() {
      isWanted = true;
      running ??= run();
    },
    async [Symbol.asyncDispose]() {
      await running;
    },
  };
}
