// Debounces feeding of the queues: requests that arrive together cause one feed, and no caller waits for it.

import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";

/** The pause after a feed, so that constant requests do not keep the feeder busy all the time. */
const restMs = 100;

export type DebouncedFeed = AsyncDisposable & {
  /** Requests a feed, which starts once a running one has ended. Never throws. */
  readonly request: () => void;
};

/**
 * Disposing waits for a running feed.
 * @param feed must not throw; the next tick makes up for a failed feed.
 */
export function openDebouncedFeed(feed: () => Promise<void>): DebouncedFeed {
  let running: Promise<void> | undefined;
  let isRequested = false;
  const run = async () => {
    while (isRequested) {
      await nextTurn();
      isRequested = false;
      await feed();
      await sleep(restMs);
    }
    running = undefined;
  };
  return {
    request() {
      isRequested = true;
      running ??= run();
    },
    async [Symbol.asyncDispose]() {
      await running;
    },
  };
}
