// Computes the length and hash of an object of any kind and size.

import { createHash } from "node:crypto";

import { TransientError } from "@actions-archive/core/errors";
import { retry } from "@actions-archive/core/retry";

import type { ObjectInfo, Store } from "./store.ts";

export type Fingerprint = {
  readonly size: number;
  /** Lower-case hex. */
  readonly sha256: string;
};

/**
 * Reads the object once. If the result differs from `expected`, a HEAD and a second read must agree with the first, since a single
 * read may have been corrupted in transit. Undefined when all three find no object.
 * @param info the result of the caller's HEAD; that version is read.
 * @throws TransientError when the reads and the HEAD still disagree after all retries.
 */
export async function readFingerprint(
  store: Store,
  key: string,
  { expected, info }: { readonly expected?: Fingerprint; readonly info?: Pick<ObjectInfo, "sizeBytes" | "versionId"> } = {},
): Promise<Fingerprint | undefined> {
  return retry(async () => {
    const first = await readOnce(store, key, info?.versionId);
    if (first !== undefined && isSame(first, expected)) return first;
    const headBytes = (info ?? (await store.head(key)))?.sizeBytes;
    const second = await readOnce(store, key, info?.versionId);
    if (second !== undefined && isSame(second, expected)) return second;
    if (isSame(first, second) && second?.size === headBytes) return second;
    throw new TransientError(
      "store/unavailable",
      `${key} in ${store.url} has ${first?.size} bytes at the first read, ${second?.size} at the second and ${headBytes} by its HEAD, or two reads returned different bytes. It is tried again.`,
    );
  });
}

function isSame(a: Fingerprint | undefined, b: Fingerprint | undefined): boolean {
  return a?.size === b?.size && a?.sha256 === b?.sha256;
}

async function readOnce(store: Store, key: string, versionId: string | undefined): Promise<Fingerprint | undefined> {
  const stream = await store.open(key, undefined, versionId);
  if (stream === undefined) return undefined;
  const hash = createHash("sha256");
  let size = 0;
  for await (const chunk of stream) {
    hash.update(chunk);
    size += chunk.length;
  }
  return { size, sha256: hash.digest("hex") };
}
