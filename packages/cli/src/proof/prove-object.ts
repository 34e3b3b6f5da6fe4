// Proves that a seal holds an object of the store.

import { makeProof, type Proof } from "@actions-archive/archive/seal/proof";
import { parseSeal, type VerifiedSeal } from "@actions-archive/archive/seal/seal-envelope";
import { readDocument } from "@actions-archive/archive/store/read-document";
import type { Store } from "@actions-archive/archive/store/store";
import { PermanentError } from "@actions-archive/core/errors";
import { sealKey } from "@actions-archive/core/object-key";
import type { Database } from "@actions-archive/database/connection/open-database";
import { findObjects } from "@actions-archive/database/ledger/objects";

export type Archive = { readonly db: Database; readonly store: Store };

export type Proved = { readonly proof: Proof; readonly sequence: number };

/** The proof of the object `key` of job `jobId`, and the number of its seal. */
export type Prover = (key: string, jobId: number) => Promise<Proved>;

/**
 * Creates a prover that caches the last seal read: the objects of one job are mostly in one seal, which may have 60 MiB. Reads
 * only. The prover throws PermanentError `usage/invalid` when no seal holds the object yet, and `store/corrupt` when the store's
 * seal is missing or differs.
 */
export function createProver({ db, store }: Archive): Prover {
  let last: { readonly sequence: number; readonly sealed: VerifiedSeal } | undefined;
  return async (key, jobId) => {
    const [known] = await findObjects(db, [key]);
    const sequence = known?.sealed_in ?? null;
    if (sequence === null)
      throw new PermanentError(
        "usage/invalid",
        `${key} of job ${jobId} is in no seal yet: wait for the next one, or run \`seal\`.`,
      );
    if (last?.sequence !== sequence) last = { sequence, sealed: await readSealOf(store, sequence) };
    const proof = makeProof(last.sealed, key);
    if (proof !== undefined) return { proof, sequence };
    throw new PermanentError(
      "store/corrupt",
      `The seal ${sealKey(sequence)} in ${store.url} does not hold ${key}, although the database says so: run verify.`,
    );
  };
}

async function readSealOf(store: Store, sequence: number): Promise<VerifiedSeal> {
  const name = sealKey(sequence);
  const sealed = await readDocument(store, name, (bytes) => parseSeal(bytes, `${name} in ${store.url}`));
  if (sealed) return sealed;
  throw new PermanentError(
    "store/corrupt",
    `The seal ${name} is not in ${store.url}: something removed it. Restore it from a copy, and run verify.`,
  );
}
