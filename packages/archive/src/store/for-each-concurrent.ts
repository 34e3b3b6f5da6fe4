// Runs a function over an async iterable with bounded concurrency.

/**
 * Calls `fn` for each of `items` in order, at most `atOnce` at a time. Resolves when all calls have settled.
 * @throws the first error of `items` or `fn`; no call starts after it.
 */
export async function forEachConcurrent<T>(
  items: AsyncIterable<T>,
  atOnce: number,
  fn: (item: T) => Promise<void>,
): Promise<void> {
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
      // Stops all lanes; later calls of abort do not change the reason.
      stop.abort(error);
    }
  });
  await Promise.all(lanes);
  await iterator.return?.();
  stop.signal.throwIfAborted();
}
