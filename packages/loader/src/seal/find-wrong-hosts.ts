// Finds seals that name another host than the archive's, from a process with wrong settings.

import type { Correction } from "@actions-archive/archive/seal/seal";
import { parseSeal } from "@actions-archive/archive/seal/seal-envelope";
import { readDocument } from "@actions-archive/archive/store/read-document";
import { PermanentError } from "@actions-archive/core/errors";
import { sealKey } from "@actions-archive/core/object-key";
import { listSealHashes } from "@actions-archive/database/seal/seals";

import type { Loader } from "../loader.ts";

/**
 * Reads every seal in the database, one at a time, and changes nothing.
 * @param reason the operator's words.
 * @returns a correction for each seal of another host that no later seal corrects, in the order of the chain.
 * @throws PermanentError `store/corrupt` if a seal is missing, or its hash is not the database's.
 */
export async function findWrongHosts(
  { db, store, host }: Pick<Loader, "db" | "store" | "host">,
  reason: string,
): Promise<Correction[]> {
  const wrong = new Map<number, Correction>();
  for (const { sequence, sha256 } of await listSealHashes(db, 0)) {
    const key = sealKey(sequence);
    const read = await readDocument(store, key, (bytes) => parseSeal(bytes, `${key} in ${store.url}`));
    if (read?.sha256 !== sha256)
      throw new PermanentError(
        "store/corrupt",
        `The seal ${key} in ${store.url} is missing, or does not have the hash in the database. Nothing was sealed; run verify.`,
      );
    if (read.seal.host !== host) wrong.set(sequence, { sequence, sha256, host: read.seal.host, correct_host: host, reason });
    for (const { sequence: earlier, correct_host } of read.seal.corrections ?? [])
      if (correct_host === host) wrong.delete(earlier);
  }
  return [...wrong.values()];
}
