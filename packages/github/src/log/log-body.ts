// Streams the bytes of a log and verifies its end: a body that is cut, too short, too long or stalled throws.

import { TransientError } from "@actions-archive/core/errors";

import { redactSecrets } from "../transport/failure.ts";

/** A download with fewer bytes in `stallMs` is stalled: a byte now and then would occupy a worker's slot indefinitely. */
const minBytesPerStall = 16 * 1024;

/**
 * Streams a download once.
 * @param startBytes number of bytes received before, for a resumed download
 * @param declaredBytes size of the complete log
 * @param stallMs maximum time to wait for bytes; the reader's own time does not count
 * @param what names the log in errors; never contains the link
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
        if (windowBytes < minBytesPerStall) throw incomplete(`stalled after ${receivedBytes} bytes`);
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
