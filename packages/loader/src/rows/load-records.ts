// Rows from record objects: the job, its steps and how its log ended. The same code fills an empty database.

import { type FoundRecord, maxVersions, readRecordVersion } from "@actions-archive/archive/record/records";
import { PermanentError } from "@actions-archive/core/errors";
import { recordKey, tryParseKey } from "@actions-archive/core/object-key";

import type { Loader } from "../loader.ts";
import { readExtraLogs } from "./record-objects.ts";
import { writeRecords } from "./write-records.ts";

export type RecordToLoad = { readonly job_id: number; readonly key: string };

/** Loads these records in one transaction; one that is no record of its job is passed over, as is one that no table takes. Idempotent. */
export async function loadRecords(loader: Loader, toLoad: readonly RecordToLoad[]): Promise<void> {
  const named = await Promise.all(toLoad.map((item) => withEarlierVersions(loader, item)));
  const read = await Promise.all(named.flat().map((item) => readRecord(loader, item)));
  const records = read.filter((record) => record !== undefined);
  if (records.length === 0) return;
  await writeRecords(loader, records, await readExtraLogs(loader, records));
}

// Nobody else may ever tell of them: the queue that forgot one version was told of the next. They are looked for only where that one
// is, so that a made-up version costs one look.
async function withEarlierVersions({ store }: Loader, { job_id, key }: RecordToLoad): Promise<RecordToLoad[]> {
  const parsed = tryParseKey(key);
  if (parsed?.kind !== "record" || parsed.version === 1 || parsed.version > maxVersions) return [{ job_id, key }];
  if ((await store.head(key)) === undefined) return [{ job_id, key }];
  const { host, version } = parsed;
  return Array.from({ length: version }, (_, index) => ({ job_id, key: recordKey(host, parsed, index + 1) }));
}

// The message only names the record; what is loaded must follow from the object alone, and its key from its content.
async function readRecord({ store, host, log }: Loader, { job_id, key }: RecordToLoad): Promise<FoundRecord | undefined> {
  try {
    const parsed = tryParseKey(key);
    const isOwn = parsed?.kind === "record" && parsed.host === host && parsed.job_id === job_id;
    if (!isOwn) throw new PermanentError("store/corrupt", `${key} is no key of a record of job ${job_id} of ${host}`);
    const found = await readRecordVersion(store, host, parsed, parsed.version);
    if (found === undefined) throw new PermanentError("store/corrupt", `There is no record ${key} in ${store.url}`);
    return found;
  } catch (error) {
    if (!(error instanceof PermanentError)) throw error;
    log.error({ err: error, jobId: job_id, objectKey: key }, "record refused");
    return undefined;
  }
}
