// Restores windows, and attempts without a run record, from the seals, after the chain is adopted.

import type { Seal } from "@actions-archive/archive/seal/seal";
import { parseSeal } from "@actions-archive/archive/seal/seal-envelope";
import { readDocument } from "@actions-archive/archive/store/read-document";
import type { Store } from "@actions-archive/archive/store/store";
import { PermanentError } from "@actions-archive/core/errors";
import { sealKey } from "@actions-archive/core/object-key";
import { type Database, transact } from "@actions-archive/database/connection/open-database";
import { restoreFullSeconds, restoreSealedLedger } from "@actions-archive/database/rebuild/restore-ledger";
import { listSealHashes } from "@actions-archive/database/seal/seals";
import { pMapIterable } from "p-map";

/** Up to some 8 MB each. */
const readsAtOnce = 4;

/**
 * Restores the ledger from the seals in this database that follow `after`. Idempotent.
 * @param onSeal called after the content of each seal is committed.
 * @throws PermanentError `store/corrupt` for a seal whose hash is not the chain's.
 */
export async function restoreSeals(
  { db, store }: { readonly db: Database; readonly store: Store },
  after: number,
  onSeal: (sequence: number) => Promise<void>,
): Promise<void> {
  const seals = await listSealHashes(db, after);
  const read = pMapIterable(seals, (seal) => readSeal(store, seal), { concurrency: readsAtOnce, backpressure: readsAtOnce });
  for await (const { sequence, sealed_at, ledger } of read) {
    await transact(db, async (trx) => {
      await restoreSealedLedger(trx, { sequence, sealed_at, ...ledger });
      // A full second of an earlier seal may have been listed since.
      if (sequence === seals.at(-1)?.sequence) await restoreFullSeconds(trx, ledger.full_seconds);
    });
    await onSeal(sequence);
  }
}

async function readSeal(
  store: Store,
  { sequence, sha256 }: { readonly sequence: number; readonly sha256: string },
): Promise<Seal> {
  const name = `${sealKey(sequence)} in ${store.url}`;
  const isNot = () =>
    new PermanentError(
      "store/corrupt",
      `The seal ${name} does not have the hash of the chain: it was changed or removed. Run verify, and restore it from a copy.`,
    );
  const seal = await readDocument(store, sealKey(sequence), (bytes) => {
    const sealed = parseSeal(bytes, name);
    if (sealed.sha256 !== sha256) throw isNot();
    return sealed.seal;
  });
  if (seal === undefined) throw isNot();
  return seal;
}
