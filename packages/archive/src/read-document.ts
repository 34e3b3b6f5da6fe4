// Small objects that are read whole: records, run records, seals, the archive's identity. One reading may have gone wrong on its
// way, so only what a HEAD and a second reading agree upon is called corrupt.

import { TransientError } from "@actions-archive/core/errors";
import { retry } from "@actions-archive/core/retry";

import { assertReadable, isCorrupt, mostReadBytes, type Store } from "./store.ts";

/**
 * What `parse` makes of the object's bytes; it throws PermanentError `store/corrupt` for what they may not be, and may be called
 * twice. Undefined when there is no such object. One read, where nothing is wrong.
 * @throws what `parse` throws; PermanentError `store/corrupt` for more than `mostReadBytes(key)`; TransientError when HEAD and GET
 * go on contradicting each other.
 */
export async function readDocument<T>(store: Store, key: string, parse: (bytes: Buffer) => T): Promise<T | undefined> {
  try {
    const bytes = await store.read(key);
    return bytes && parse(bytes);
  } catch (error) {
    if (!isCorrupt(error)) throw error;
  }
  const bytes = await retry(() => readAsSaid(store, key));
  return bytes && parse(bytes);
}

async function readAsSaid(store: Store, key: string): Promise<Buffer | undefined> {
  const sizeBytes = (await store.head(key))?.sizeBytes;
  const name = `${key} in ${store.url}`;
  if (sizeBytes !== undefined) assertReadable(name, sizeBytes, mostReadBytes(key));
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
