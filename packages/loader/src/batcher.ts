// Gathers what arrives one by one into batches, by size and time.
export type BatchLimits = { readonly maxItems: number; readonly maxWaitMs: number };

/**
 * @param run gets each batch; one at a time, so that the next one gathers while it runs.
 * @returns a function that resolves when its item's batch has run, or rejects as that batch did.
 */
export function createBatcher<T>(
  { maxItems, maxWaitMs }: BatchLimits,
  run: (items: T[]) => Promise<void>,
): (item: T) => Promise<void> {
  let waiting: { item: T; resolve: () => void; reject: (error: unknown) => void }[] = [];
  let running: Promise<void> = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;

  const flush = () => {
    clearTimeout(timer);
    timer = undefined;
    running = running.then(async () => {
      const batch = waiting.splice(0, maxItems);
      if (batch.length === 0) return;
      try {
        await run(batch.map(({ item }) => item));
        for (const { resolve } of batch) resolve();
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
      if (waiting.length > 0) flush();
    });
  };

  return (item) => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    waiting = [...waiting, { item, resolve, reject }];
    if (waiting.length >= maxItems) flush();
    else timer ??= setTimeout(flush, maxWaitMs);
    return promise;
  };
}
