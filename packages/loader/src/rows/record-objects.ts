// What is to be sealed: each object of the store, with the hash of the bytes that the loader itself has seen, or that the record
// says of a log.

import type { FoundRecord } from "@actions-archive/archive/record/records";
import { readFingerprint } from "@actions-archive/archive/store/fingerprint";
import type { Store } from "@actions-archive/archive/store/store";
import { conflictingLogKey, logKey } from "@actions-archive/core/object-key";
import { listLeasedLogs } from "@actions-archive/database/ledger/log-leases";
import { listUnknownKeys, recordObjects, type StoredObject } from "@actions-archive/database/ledger/objects";

import type { Loader } from "../loader.ts";

/** So many logs without a record are looked for before each seal; more of them are a matter for the next one. */
const maxOrphans = 2_000;

/** The record, and the log that it names. */
export function objectsOf({ key, size, sha256, record: { log } }: FoundRecord): StoredObject[] {
  const own = { key, version_id: null, size, sha256 };
  if (log.state === "absent") return [own];
  return [own, { key: log.key, version_id: log.version_id, size: log.stored_bytes, sha256: log.stored_sha256 }];
}

/**
 * The logs under the job's own key that these records do not name, since other bytes were read later: no record ever names them, and
 * they are sealed all the same. Reads each that is not known yet.
 */
export async function readExtraLogs({ db, store, host }: Loader, records: readonly FoundRecord[]): Promise<StoredObject[]> {
  const own = records.flatMap(({ record }) => {
    const key = logKey(host, record);
    return record.log.state === "archived" && record.log.key !== key ? [key] : [];
  });
  return own.length === 0 ? [] : readObjects(store, await listUnknownKeys(db, own));
}

/** Notes logs whose record is not written yet, or whose worker died before it: they lie in the store as everything else does. Idempotent. */
export async function recordOrphanLogs({ db, store, host }: Loader): Promise<void> {
  const logLeases = await listLeasedLogs(db, maxOrphans);
  const keys = logLeases.flatMap(({ raw_sha256, ...job }) => [
    logKey(host, job),
    ...(raw_sha256 === null ? [] : [conflictingLogKey(host, job, raw_sha256)]),
  ]);
  await recordObjects(db, await readObjects(store, await listUnknownKeys(db, keys)));
}

async function readObjects(store: Store, keys: readonly string[]): Promise<StoredObject[]> {
  const found: StoredObject[] = [];
  for (const key of keys) {
    const info = await store.head(key);
    const read = info && (await readFingerprint(store, key, { info }));
    if (read !== undefined) found.push({ key, version_id: info?.versionId ?? null, ...read });
  }
  return found;
}
