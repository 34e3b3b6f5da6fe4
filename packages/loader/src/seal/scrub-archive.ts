// The scrub: reads every object of the archive again, a little at a time, and compares it with what was sealed. A store that loses or
// changes something is found out while GitHub may still have the log.

import { readFingerprint } from "@actions-archive/archive/store/fingerprint";
import type { StoredObject } from "@actions-archive/database/ledger/objects";
import { chooseScrubBatch, type Damage, isRoundOver, recordDamages, recordScrubbed } from "@actions-archive/database/seal/scrub";

import type { Loader } from "../loader.ts";

/** Of one turn: what was not read while no loader ran is made up for in small steps. */
const maxPerTurn = 500;

/**
 * Reads what is due, so that the whole archive is read once in `days`. What is missing or changed is noted, for the next seal to say,
 * and a damaged log is asked for again. Two loaders at once read the same objects; nothing else comes of it.
 * @returns how many objects were read. @throws TransientError when the store does not answer, or contradicts itself: the next turn begins where this one did.
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
 * Reads these objects, and records those that are missing or changed, for the next seal to carry; a damaged log in force is requested
 * again. Idempotent. @throws TransientError when the store does not answer, or contradicts itself.
 */
export async function reportDamages(loader: Loader, objects: readonly StoredObject[]): Promise<void> {
  const { db, store, log } = loader;
  const damages: Damage[] = [];
  for (const object of objects) {
    const finding = await examine(loader, object);
    if (finding !== undefined) damages.push({ key: object.key, finding });
  }
  for (const key of await recordDamages(db, damages))
    log.error({ objectKey: key, store: store.url }, "an archived object is missing or was changed");
}

// What is no finding at the first reading costs no other. A finding is the object's own only when a HEAD and a second reading agree
// with it: a proxy that cuts would else put a false damage into a seal, where it stays.
async function examine({ store }: Loader, { key, size, sha256 }: StoredObject): Promise<Damage["finding"] | undefined> {
  const found = await readFingerprint(store, key, { expected: { size, sha256 } });
  if (found === undefined) return "missing";
  return found.size === size && found.sha256 === sha256 ? undefined : "damaged";
}
