// Loads rows from records: the job, its steps and the state of its log. A rebuild uses the same code.

import { type FoundRecord, maxVersions, readRecordVersion } from "@actions-archive/archive/record/records";
import { PermanentError } from "@actions-archive/core/errors";
import { recordKey, tryParseKey } from "@actions-archive/core/object-key";

import type { Loader } from "../loader.ts";
import { readExtraLogs } from "./record-objects.ts";
import { writeRecords } from "./write-records.ts";

export type RecordToLoad = { readonly job_id: number; readonly key: string };

/** Loads these records in one transaction; a record that is not of its job, or that Postgres refuses, is skipped. Idempotent. */
export async function loadRecords(loader: Loader, toLoad: readonly RecordToLoad[]): Promise<void> {
  const named = await Promise.all(toLoad.map((item) => withEarlierVersions(loader, item)));
  const read = await Promise.all(named.flat().map((item) => readRecord(loader, item)));
  const records = read.filter((record) => record !== undefined);
  if (records.length === 0) return;
  const extraLogs = await readExtraLogs(loader, records);
  const began = performance.now();
  await writeRecords(loader, records, extraLogs);
  loader.metrics?.loaderBatch.observe((performance.now() - began) / 1_000);
  for (const { record } of records)
    loader.metrics?.loadLag.observe(Math.max(0, (Date.now() - Date.parse(record.decided_at)) / 1_000));
}

// Also loads earlier versions, since no other message may name them: a queue that lost one version received the next. They are read
// only if the named version exists, so that a forged version costs one request.
async function withEarlierVersions({ store }: Loader, { job_id, key }: RecordToLoad): Promise<RecordToLoad[]> {
  const parsed = tryParseKey(key);
  if (parsed?.kind !== "record" || parsed.version === 1 || parsed.version > maxVersions) return [{ job_id, key }];
  if ((await store.head(key)) === undefined) return [{ job_id, key }];
  const { host, version } = parsed;
  return Array.from({ length: version }, (_, index) => ({ job_id, key: recordKey(host, parsed, index + 1) }));
}

// The message only names the record: the loaded content depends on the object alone, and the key must match it.
async function readRecord({ store, host, log }: Loader, { job_id, key }: RecordToLoad): Promise<FoundRecord | undefined> {
  try {
    const parsed = tryParseKey(key);
    const isOwn = parsed?.kind === "record" && parsed.host === host && parsed.job_id === job_id;
    if (!isOwn) throw new PermanentError("store/corrupt", `${key} is not a record key of job ${job_id} of ${host}`);
    const found = await readRecordVersion(store, host, parsed, parsed.version);
    if (found === undefined) throw new PermanentError("store/corrupt", `There is no record ${key} in ${store.url}`);
    return found;
  } catch (error) {
    if (!(error instanceof PermanentError)) throw error;
    log.error({ err: error, jobId: job_id, objectKey: key }, "record refused");
    return undefined;
  }
}
