// The scrub: rereads every object of the archive gradually and compares it with its seal, to detect loss or change while GitHub may
// still have the log.

import { readFingerprint } from "@actions-archive/archive/store/fingerprint";
import type { StoredObject } from "@actions-archive/database/ledger/objects";
import { chooseScrubBatch, type Damage, isRoundOver, recordDamages, recordScrubbed } from "@actions-archive/database/seal/scrub";

import type { Loader } from "../loader.ts";

/** Per turn: what was not read while no loader ran is caught up in small steps. */
const maxPerTurn = 500;

/**
 * Reads what is due, so that the whole archive is read once in `days`. Missing or changed objects are recorded for the next seal, and a
 * damaged log is requested again. Two concurrent loaders read the same objects, without harm.
 * @returns the number of read objects.
 * @throws TransientError if the store does not answer, or contradicts itself: the next turn begins at the same object.
 */
export async function scrubArchive(loader: Loader, days: number): Promise<number> {
  const { db } = loader;
  const batch = await chooseScrubBatch(db, { days, most: maxPerTurn });
  await reportDamages(loader, batch.objects);
  if (batch.objects.length > 0) await recordScrubbed(db, batch);
  else if (await isRoundOver(db, batch.position)) await recordScrubbed(db, batch);
  return batch.objects.length;
}

/**
 * Reads these objects, and records missing or changed ones for the next seal; a damaged log in force is requested again. Idempotent.
 * @throws TransientError if the store does not answer, or contradicts itself.
 */
export async function reportDamages(loader: Loader, objects: readonly StoredObject[]): Promise<void> {
  const { db, store, log, metrics } = loader;
  const damages: Damage[] = [];
  for (const object of objects) {
    const finding = await examine(loader, object);
    if (finding !== undefined) damages.push({ key: object.key, finding });
  }
  const recorded = await recordDamages(db, damages);
  metrics?.scrubMismatches.inc(recorded.length);
  for (const key of recorded) log.error({ objectKey: key, store: store.url }, "archived object missing or changed");
}

// An object that is intact at the first reading is read once. Damage must be confirmed by a HEAD and a second reading, since a proxy
// that truncates would otherwise put false damage into a seal permanently.
async function examine({ store }: Loader, { key, size, sha256 }: StoredObject): Promise<Damage["finding"] | undefined> {
  const found = await readFingerprint(store, key, { expected: { size, sha256 } });
  if (found === undefined) return "missing";
  return found.size === size && found.sha256 === sha256 ? undefined : "damaged";
}
