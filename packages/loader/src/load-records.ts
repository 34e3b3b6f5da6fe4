// Rows from record objects: the job, its steps and how its log ended. The same code fills an empty database.

import { createHash } from "node:crypto";

import { LogRecord } from "@actions-archive/archive/record";
import { parseRecord } from "@actions-archive/archive/records";
import { PermanentError } from "@actions-archive/core/errors";
import { recordKey, tryParseKey } from "@actions-archive/core/object-key";
import { jobColumns } from "@actions-archive/database/job-rows";

import type { Loader } from "./loader.ts";
import { readBesides } from "./note-objects.ts";
import { type ReadRecord, writeRecords } from "./write-records.ts";

export type RecordToLoad = { readonly job_id: number; readonly key: string };

/** Loads these records in one transaction; one that is no record of its job is passed over, as is one that no table takes. Idempotent. */
export async function loadRecords(loader: Loader, toLoad: readonly RecordToLoad[]): Promise<void> {
  const named = await Promise.all(toLoad.map((item) => withEarlierVersions(loader, item)));
  const read = await Promise.all(named.flat().map((item) => readRecord(loader, item)));
  const records = read.filter((record) => record !== undefined);
  if (records.length === 0) return;
  await writeRecords(loader, records, await readBesides(loader, records));
}

/** A message may say any number; a job has two or three versions. */
const mostVersions = 100;

// Nobody else may ever tell of them: the queue that forgot one version was told of the next. They are looked for only where that one
// is, so that a made-up version costs one look.
async function withEarlierVersions({ store }: Loader, { job_id, key }: RecordToLoad): Promise<RecordToLoad[]> {
  const parsed = tryParseKey(key);
  if (parsed?.kind !== "record" || parsed.version === 1 || parsed.version > mostVersions) return [{ job_id, key }];
  if ((await store.head(key)) === undefined) return [{ job_id, key }];
  const { host, version } = parsed;
  return Array.from({ length: version }, (_, index) => ({ job_id, key: recordKey(host, parsed, index + 1) }));
}

// The message only names the record; what is loaded must follow from the object alone, and its key from its content.
async function readRecord({ store, host, log }: Loader, { job_id, key }: RecordToLoad): Promise<ReadRecord | undefined> {
  try {
    const bytes = key.startsWith(`records/${host}/`) ? await store.read(key) : undefined;
    if (bytes === undefined) throw new PermanentError("store/corrupt", `There is no record ${key} in ${store.url}`);
    return parseLogRecord(bytes, { host, jobId: job_id, key, name: `${key} in ${store.url}` });
  } catch (error) {
    if (!(error instanceof PermanentError)) throw error;
    log.error({ err: error, jobId: job_id, objectKey: key }, "record refused");
    return undefined;
  }
}

type RecordName = { readonly host: string; readonly jobId: number; readonly key: string; readonly name: string };

/**
 * The record in the bytes of the object under `key`.
 * @param of `name` is the object's, for people.
 * @throws PermanentError `store/corrupt` when it is not one of this job, host and key.
 */
export function parseLogRecord(bytes: Buffer, of: RecordName): ReadRecord {
  const { host, jobId, key, name } = of;
  const record = parseRecord(LogRecord, bytes, name);
  const parsed = tryParseKey(key);
  const version = parsed?.kind === "record" ? parsed.version : 1;
  const told = jobColumns(record.job);
  const isOwn = record.job_id === jobId && told?.job_id === jobId && told.run_id === record.run_id;
  if (!isOwn || record.host !== host || recordKey(host, record, version) !== key)
    throw new PermanentError("store/corrupt", `${name} is not a record of job ${jobId}`);
  return { key, version, size: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex"), record };
}
