// Many things at once, and not too many: the store answers each after milliseconds, and memory holds only those that run.

/**
 * Calls `fn` for each of `items`, at most `atOnce` at a time, in the order in which they come. Ends when all calls have settled.
 * @throws the first error of `items` or `fn`; nothing new is begun after it.
 */
export async function eachOf<T>(items: AsyncIterable<T>, atOnce: number, fn: (item: T) => Promise<void>): Promise<void> {
  const iterator = items[Symbol.asyncIterator]();
  const stop = new AbortController();
  const lanes = Array.from({ length: atOnce }, async () => {
    try {
      while (!stop.signal.aborted) {
        const next = await iterator.next();
        if (next.done) return;
        await fn(next.value);
      }
    } catch (error) {
      // The first reason counts, for all lanes.
      stop.abort(error);
    }
  });
  await Promise.all(lanes);
  await iterator.return?.();
  stop.signal.throwIfAborted();
}
