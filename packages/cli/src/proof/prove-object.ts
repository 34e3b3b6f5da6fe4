// From an object of the store to the proof that a seal holds it.

import { makeProof, type Proof } from "@actions-archive/archive/proof";
import { readDocument } from "@actions-archive/archive/read-document";
import { parseSeal } from "@actions-archive/archive/seal-envelope";
import type { Store } from "@actions-archive/archive/store";
import { PermanentError } from "@actions-archive/core/errors";
import { sealKey } from "@actions-archive/core/object-key";
import { findObjects } from "@actions-archive/database/objects";
import type { Database } from "@actions-archive/database/open-database";

export type Archive = { readonly db: Database; readonly store: Store };

/**
 * The proof of the object `key` of job `jobId`, and the number of its seal. Reads only.
 * @throws PermanentError `usage/invalid` when no seal holds it yet; `store/corrupt` when the store's seal is missing or another one.
 */
export async function proveObject(
  { db, store }: Archive,
  key: string,
  jobId: number,
): Promise<{ readonly proof: Proof; readonly sequence: number }> {
  const [known] = await findObjects(db, [key]);
  const sequence = known?.sealed_in ?? null;
  if (sequence === null)
    throw new PermanentError(
      "usage/invalid",
      `${key} of job ${jobId} is in no seal yet: wait for the next one, or run \`seal\`.`,
    );
  const name = sealKey(sequence);
  const sealed = await readDocument(store, name, (bytes) => parseSeal(bytes, `${name} in ${store.url}`));
  if (sealed === undefined)
    throw new PermanentError(
      "store/corrupt",
      `The seal ${name} is not in ${store.url}: something removed it. Restore it from a copy, and run verify.`,
    );
  const proof = makeProof(sealed, key);
  if (proof === undefined)
    throw new PermanentError(
      "store/corrupt",
      `The seal ${name} in ${store.url} does not hold ${key}, and the database says that it does: run verify.`,
    );
  return { proof, sequence };
}
