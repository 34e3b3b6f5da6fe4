// Length and hash of what the store gives for a key, whatever it is and however large.

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
 * Reads the object once, and once more after a HEAD unless it is `expected`: what differs from that is the object's own only when
 * it was read twice alike, and has the length that its HEAD says. Undefined when there is no such object, by all three.
 * @param info the caller's own HEAD; that version is read.
 * @throws TransientError when they go on contradicting each other.
 */
export async function readFingerprint(
  store: Store,
  key: string,
  { expected, info }: { readonly expected?: Fingerprint; readonly info?: Pick<ObjectInfo, "sizeBytes" | "versionId"> } = {},
): Promise<Fingerprint | undefined> {
  return retry(async () => {
    const first = await readOnce(store, key, info?.versionId);
    if (first !== undefined && isSame(first, expected)) return first;
    const said = (info ?? (await store.head(key)))?.sizeBytes;
    const second = await readOnce(store, key, info?.versionId);
    if (second !== undefined && isSame(second, expected)) return second;
    if (isSame(first, second) && second?.size === said) return second;
    throw new TransientError(
      "store/unavailable",
      `${key} in ${store.url} has ${first?.size} bytes at the first reading, ${second?.size} at the second, and ${said} by its HEAD, or was not read alike. It is tried again.`,
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
