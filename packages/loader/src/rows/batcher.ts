// Collects single items into batches, by size and time.
export type BatchLimits = {
  readonly maxItems: number;
  readonly maxWaitMs: number;
  /** Maximum number of concurrent batches. */
  readonly maxRunning: number;
};

/**
 * @param run receives each batch; while the maximum number of batches runs, the next one collects items.
 * @returns a function that settles as the batch of its item does.
 */
export function createBatcher<T>(
  { maxItems, maxWaitMs, maxRunning }: BatchLimits,
  run: (items: T[]) => Promise<void>,
): (item: T) => Promise<void> {
  const waiting: { item: T; resolve: () => void; reject: (error: unknown) => void }[] = [];
  let running = 0;
  let timer: NodeJS.Timeout | undefined;

  const flush = () => {
    clearTimeout(timer);
    timer = undefined;
    if (running < maxRunning && waiting.length > 0) void runBatch(waiting.splice(0, maxItems));
  };
  const runBatch = async (batch: typeof waiting) => {
    running += 1;
    try {
      await run(batch.map(({ item }) => item));
      for (const { resolve } of batch) resolve();
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
    running -= 1;
    flush();
  };

  return (item) => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    waiting.push({ item, resolve, reject });
    if (waiting.length >= maxItems) flush();
    else timer ??= setTimeout(flush, maxWaitMs);
    return promise;
  };
}

/**
 * Large enough for a cheap transaction, small enough to hold rows and locks for milliseconds; one is prepared while Postgres writes
 * another.
 */
export const loadBatches: BatchLimits = { maxItems: 200, maxWaitMs: 20, maxRunning: 2 };
