// Frees the memory of large buffers without waiting for the garbage collector.

/**
 * Frees the memory under `bytes` if it has exactly `ownedBytes` and is not shared; `bytes` is empty afterwards. Does nothing
 * otherwise: small buffers, and the chunks of a chunked body, share memory with others.
 *
 * V8 counts such memory as growth of its heap, and marks the whole heap, in two more threads, after each 40 MB: without this a
 * log-worker did so 16 times a GiB of logs, for a tenth of its CPU time.
 */
export function releaseMemory({ buffer }: Buffer, ownedBytes: number): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === ownedBytes) buffer.transfer(0);
}
