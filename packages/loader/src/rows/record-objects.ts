// Records objects of the store to be sealed, with the hash of the bytes that the loader has read, or a log's hash in its record.

import type { FoundRecord } from "@actions-archive/archive/record/records";
import { readFingerprint } from "@actions-archive/archive/store/fingerprint";
import type { Store } from "@actions-archive/archive/store/store";
import { conflictingLogKey, logKey } from "@actions-archive/core/object-key";
import { listLeasedLogs } from "@actions-archive/database/ledger/log-leases";
import { listUnknownKeys, recordObjects, type StoredObject } from "@actions-archive/database/ledger/objects";

import type { Loader } from "../loader.ts";

/** Maximum number of logs without a record that are checked before each seal; others wait for the next. */
const maxOrphans = 2_000;

/** The record, and the log that it names. */
export function objectsOf({ key, size, sha256, record: { log } }: FoundRecord): StoredObject[] {
  const own = { key, version_id: null, size, sha256 };
  if (log.state === "absent") return [own];
  return [own, { key: log.key, version_id: log.version_id, size: log.stored_bytes, sha256: log.stored_sha256 }];
}

/**
 * Finds logs under the job's own key that these records do not name, because other bytes were downloaded later. No record ever names
 * them, but they are sealed. Reads each that is not recorded yet.
 */
export async function readExtraLogs({ db, store, host }: Loader, records: readonly FoundRecord[]): Promise<StoredObject[]> {
  const own = records.flatMap(({ record }) => {
    const key = logKey(host, record);
    return record.log.state === "archived" && record.log.key !== key ? [key] : [];
  });
  return own.length === 0 ? [] : readObjects(store, await listUnknownKeys(db, own));
}

/** Records logs without a record, whose worker is still working or crashed: they are objects of the store like others. Idempotent. */
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
