// The bytes of a log as they come, counted, and an end that can be trusted: a body that is cut, short, long or hardly moving
// throws and never just ends.

import { TransientError } from "@actions-archive/core/errors";

import { redactSecrets } from "../transport/failure.ts";

/** Less than this in `stallMs` is no download: a byte now and then would hold a worker's slot for ever. */
const leastBytesPerStall = 16 * 1024;

/**
 * Reads a download once, as it comes.
 * @param startBytes how many bytes of the log came before: a download that goes on counts from there
 * @param declaredBytes of the whole log
 * @param stallMs how long it may be waited for bytes; the reader's own time does not count
 * @param what names the log in errors; never holds the link
 * @throws TransientError `log/incomplete`; the signal's reason.
 */
export async function* readLogBody(
  source: AsyncIterable<Buffer>,
  {
    startBytes = 0,
    declaredBytes,
    stallMs,
    what,
    signal,
  }: {
    readonly startBytes?: number;
    readonly declaredBytes: number | undefined;
    readonly stallMs: number;
    readonly what: string;
    readonly signal?: AbortSignal | undefined;
  },
): AsyncGenerator<Buffer, void, undefined> {
  let receivedBytes = startBytes;
  let windowBytes = 0;
  let waitedMs = 0;
  let since = performance.now();
  try {
    for await (const chunk of source) {
      waitedMs += performance.now() - since;
      receivedBytes += chunk.length;
      windowBytes += chunk.length;
      if (declaredBytes !== undefined && receivedBytes > declaredBytes)
        throw incomplete(`is longer than its ${declaredBytes} bytes`);
      if (waitedMs >= stallMs) {
        if (windowBytes < leastBytesPerStall) throw incomplete(`stalled after ${receivedBytes} bytes`);
        waitedMs = 0;
        windowBytes = 0;
      }
      yield chunk;
      since = performance.now();
    }
  } catch (error) {
    if (error instanceof TransientError) throw error;
    signal?.throwIfAborted();
    const cause = redactSecrets(error);
    throw incomplete(`was cut after ${receivedBytes} bytes: ${cause.message}`, { cause });
  }
  if (declaredBytes !== undefined && receivedBytes !== declaredBytes) {
    throw incomplete(`ended after ${receivedBytes} of ${declaredBytes} bytes`);
  }

  function incomplete(happened: string, options?: ErrorOptions): TransientError {
    return new TransientError("log/incomplete", `${what} ${happened}. It is tried again.`, options);
  }
}
