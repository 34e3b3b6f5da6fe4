// The scrub: reads every object of the archive again, a little at a time, and compares it with what was sealed. A store that loses or
// changes something is found out while GitHub may still have the log.

import { createHash } from "node:crypto";

import type { StoredObject } from "@actions-archive/database/objects";
import { chooseScrubBatch, type Damage, isRoundOver, noteDamages, noteScrubbed } from "@actions-archive/database/scrub";

import type { Loader } from "./loader.ts";

/** Of one turn: what was not read while no loader ran is made up for in small steps. */
const mostOfATurn = 500;

/**
 * Reads what is due, so that the whole archive is read once in `days`. What is missing or changed is noted, for the next seal to say,
 * and a damaged log is asked for again. Two loaders at once read the same objects; nothing else comes of it.
 * @returns how many objects were read. @throws TransientError when the store does not answer: the next turn begins where this one did.
 */
export async function scrubArchive(loader: Loader, days: number): Promise<number> {
  const { db, store, log } = loader;
  const batch = await chooseScrubBatch(db, { days, most: mostOfATurn });
  const damages: Damage[] = [];
  for (const object of batch.objects) {
    const finding = await examine(loader, object);
    if (finding !== undefined) damages.push({ key: object.key, finding });
  }
  for (const key of await noteDamages(db, damages))
    log.error({ objectKey: key, store: store.url }, "an archived object is missing or was changed");
  if (batch.objects.length > 0) await noteScrubbed(db, batch);
  else if (await isRoundOver(db, batch.position)) await noteScrubbed(db, batch);
  return batch.objects.length;
}

async function examine({ store }: Loader, { key, size, sha256 }: StoredObject): Promise<Damage["finding"] | undefined> {
  const stream = await store.open(key);
  if (stream === undefined) return "missing";
  const hash = createHash("sha256");
  let read = 0;
  for await (const chunk of stream) {
    hash.update(chunk);
    read += chunk.length;
  }
  return read === size && hash.digest("hex") === sha256 ? undefined : "damaged";
}
