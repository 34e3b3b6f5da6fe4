// Small objects that are read whole: records, run records, seals, the archive's identity. One reading may have gone wrong on its
// way, so only what was read alike twice, and has the length that its HEAD says, is called corrupt.

import { TransientError } from "@actions-archive/core/errors";
import { retry } from "@actions-archive/core/retry";

import { assertReadable, isCorrupt, maxReadBytes, type Store } from "./store.ts";

/** On a line that spoils one reading in five, all of so many are spoilt for one object in ten thousand. */
export const confirmRetries = 5;

/**
 * What `parse` makes of the object's bytes; it throws PermanentError `store/corrupt` for what they may not be, and may be called
 * again. Undefined when there is no such object. One read, where nothing is wrong.
 * @throws what `parse` throws; PermanentError `store/corrupt` for more than `maxReadBytes(key)`; TransientError when HEAD and GET,
 * or one reading and the next, go on contradicting each other.
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
    const bytes = await readAsSaid(store, key);
    try {
      return bytes && parse(bytes);
    } catch (error) {
      if (!isCorrupt(error) || (bytes && last?.equals(bytes))) throw error;
      last = bytes;
      throw new TransientError("store/unavailable", `${key} in ${store.url} was not read alike twice. It is tried again.`, {
        cause: error,
      });
    }
  };
  return retry(readAgain, { retries: confirmRetries });
}

async function readAsSaid(store: Store, key: string): Promise<Buffer | undefined> {
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
