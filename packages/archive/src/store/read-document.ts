// Reads and parses small objects: records, run records, seals, the archive's identity. A read may be corrupted in transit, so an
// object is reported corrupt only if two reads return the same bytes, of the length in its HEAD.

import { TransientError } from "@actions-archive/core/errors";
import { retry } from "@actions-archive/core/retry";

import { assertReadable, isCorrupt, maxReadBytes, type Store } from "./store.ts";

/** On a connection that corrupts one read in five, this many reads all fail for one object in ten thousand. */
export const confirmRetries = 5;

/**
 * Returns the result of `parse` for the object's bytes, or undefined when the object does not exist. `parse` throws PermanentError
 * `store/corrupt` for invalid bytes, and may be called several times. Costs one read if nothing is wrong.
 * @throws what `parse` throws; PermanentError `store/corrupt` for more than `maxReadBytes(key)`; TransientError when HEAD and GET,
 * or two reads, still disagree after all retries.
 */
export async function readDocument<T>(store: Store, key: string, parse: (bytes: Buffer) => T): Promise<T | undefined> {
  let last: Buffer | undefined;
  try {
    last = await store.read(key);
    return last && parse(last);
  } catch (error) {
    if (!isCorrupt(error)) throw error;
  }
  const readAgain = async () => {
    const bytes = await readChecked(store, key);
    try {
      return bytes && parse(bytes);
    } catch (error) {
      if (!isCorrupt(error) || (bytes && last?.equals(bytes))) throw error;
      last = bytes;
      throw new TransientError(
        "store/unavailable",
        `Two reads of ${key} in ${store.url} returned different bytes. It is tried again.`,
        {
          cause: error,
        },
      );
    }
  };
  return retry(readAgain, { retries: confirmRetries });
}

async function readChecked(store: Store, key: string): Promise<Buffer | undefined> {
  const sizeBytes = (await store.head(key))?.sizeBytes;
  const name = `${key} in ${store.url}`;
  if (sizeBytes !== undefined) assertReadable(name, sizeBytes, maxReadBytes(key));
  const bytes = await store.read(key).catch((error: unknown) => {
    if (!isCorrupt(error)) throw error;
    throw contradiction(name, sizeBytes, error);
  });
  if (bytes?.length !== sizeBytes) throw contradiction(name, sizeBytes, `${bytes?.length} bytes`);
  return bytes;
}

function contradiction(name: string, sizeBytes: number | undefined, found: unknown): TransientError {
  const read = typeof found === "string" ? found : "another length";
  return new TransientError(
    "store/unavailable",
    `${name} has ${sizeBytes} bytes by its HEAD, and ${read} when it is read. It is tried again.`,
    { cause: found },
  );
}
