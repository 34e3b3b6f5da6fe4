// Reads and writes records. A job's record has versions, which are only ever added.

import { createHash } from "node:crypto";

import { PermanentError, TransientError } from "@actions-archive/core/errors";
import type { AttemptRef, JobRef } from "@actions-archive/core/ids";
import { conflictingLogKey, logKey, recordKey, runRecordKey, tryParseKey } from "@actions-archive/core/object-key";
import type { z } from "zod";

import { canonicalBytes, wellFormed } from "../store/canonical-bytes.ts";
import { readFingerprint } from "../store/fingerprint.ts";
import { readDocument } from "../store/read-document.ts";
import { isCorrupt, maxReadBytes, type Store } from "../store/store.ts";
import { LogRecord, RunRecord } from "./record.ts";

export type FoundRecord = {
  readonly key: string;
  /** From 1. */
  readonly version: number;
  /** Size of the object in bytes. */
  readonly size: number;
  /** Hash of the object's bytes, lower-case hex. */
  readonly sha256: string;
  readonly record: LogRecord;
};

/** An object under a key of the job's record that is not a record of the job: damaged, planted, or written by a newer version. */
export type PassedOverRecord = {
  readonly key: string;
  readonly version: number;
  /** Why it is not a record of the job. */
  readonly error: PermanentError;
};

export type FoundRunRecord = {
  readonly key: string;
  /** Size of the object in bytes. */
  readonly size: number;
  /** Hash of the object's bytes, lower-case hex. */
  readonly sha256: string;
  readonly record: RunRecord;
};

/** A job's record without the fields that `putRecord` sets. */
export type NewLogRecord = Omit<LogRecord, "schema_version" | "previous_sha256">;

/** More lost races for one job indicate a bug or an attack. Each lost race uses up a version. */
const maxRaces = 10;

/** A job has two or three versions. The limit bounds the reads for a job under whose keys someone planted objects. */
export const maxVersions = 100;

/**
 * Finds the record in force: the highest version whose log is archived, else the highest version. One call if there is no version, two if
 * there is one. A version that is not a record of this job is reported to `onPassedOver` and skipped, since no object under a record's
 * key may prevent the archiving of a log; it stays as evidence. Idempotent.
 */
export async function findRecord(
  store: Store,
  host: string,
  ref: JobRef,
  onPassedOver: (passedOver: PassedOverRecord) => void = () => {},
): Promise<FoundRecord | undefined> {
  const { records, passedOver } = await readVersions(store, host, ref);
  passedOver.forEach(onPassedOver);
  return records.findLast(({ record }) => record.log.state === "archived") ?? records.at(-1);
}

/**
 * Writes `record` as the next version. If the record in force or the newest has the same content (except `decided_at` and the flag
 * `adopted`), writes nothing and returns that one. Idempotent, also for concurrent workers.
 * @param replaces the record in force from which `record` was made, if any. A record that came into force since then is kept.
 * @throws PermanentError `store/refused` for a record that readers would skip, or when the job has `maxVersions` versions.
 * @throws TransientError `store/unavailable` after `maxRaces` lost races, or if another record than `replaces` is in force.
 */
export async function putRecord(
  store: Store,
  host: string,
  ref: JobRef,
  record: NewLogRecord,
  replaces?: FoundRecord,
): Promise<FoundRecord & { readonly created: boolean }> {
  for (let race = 0; race < maxRaces; race += 1) {
    const { records, passedOver } = await readVersions(store, host, ref);
    const newest = records.at(-1);
    const inForce = records.findLast((version) => version.record.log.state === "archived");
    const parsed = LogRecord.parse(wellFormed({ ...record, schema_version: 1, previous_sha256: null }));
    const same = [newest, inForce].find((found) => found !== undefined && hasSameContent(found.record, parsed));
    if (same) return { ...same, created: false };
    if (replaces !== undefined && inForce?.sha256 !== replaces.sha256)
      throw new TransientError("store/unavailable", `The record ${replaces.key} is no longer in force. It is tried again.`);
    const version = records.length + passedOver.length + 1;
    const key = recordKey(host, ref, version);
    if (!isRecordOf(parsed, host, ref)) throw refused(key, store, "it is not the job's record, or names another job's log");
    if (version > maxVersions) throw refused(key, store, `the job has ${maxVersions} versions already: check them`);
    const next = { ...parsed, previous_sha256: await previousOf(store, newest, passedOver.at(-1)) };
    const body = canonicalBytes(next);
    assertWritable(key, store, body);
    const [size, sha256] = [body.length, hashOf(body)];
    const outcome = await store.put(key, body, { sha256, contentType: "application/json" });
    if (outcome.kind === "created") return { key, version, size, sha256, record: next, created: true };
  }
  throw new TransientError(
    "store/unavailable",
    `Other workers wrote ${maxRaces} records of job ${ref.job_id} of run ${ref.run_id} at the same time. It is tried again.`,
  );
}

/** The run record of an attempt; undefined if there is none. @throws PermanentError `store/corrupt` when it is damaged or another's. */
export async function findRunRecord(store: Store, host: string, ref: AttemptRef): Promise<FoundRunRecord | undefined> {
  const key = runRecordKey(host, ref);
  return readDocument(store, key, (bytes) => {
    const record = parseRecord(RunRecord, bytes, `${key} in ${store.url}`);
    if (record.host !== host || record.run_id !== ref.run_id || record.run_attempt !== ref.run_attempt)
      throw corrupt(`${key} in ${store.url}`);
    return { key, size: bytes.length, sha256: hashOf(bytes), record };
  });
}

/** Writes an attempt's run record once. An existing one is kept and returned. Idempotent. */
export async function putRunRecord(
  store: Store,
  host: string,
  ref: AttemptRef,
  record: Omit<RunRecord, "schema_version">,
): Promise<FoundRunRecord & { readonly created: boolean }> {
  const sorted = inOrder(RunRecord.parse(wellFormed({ ...record, schema_version: 1 })));
  const key = runRecordKey(host, ref);
  const body = canonicalBytes(sorted);
  assertWritable(key, store, body);
  const sha256 = hashOf(body);
  const outcome = await store.put(key, body, { sha256, contentType: "application/json" });
  if (outcome.kind === "created") return { key, size: body.length, sha256, record: sorted, created: true };
  const found = await findRunRecord(store, host, ref);
  if (!found)
    throw new TransientError(
      "store/unavailable",
      `${key} in ${store.url} exists according to a put, but cannot be read. It is tried again.`,
    );
  return { ...found, created: false };
}

// Sorts by content, so that the bytes do not depend on the order of receipt.
function inOrder(record: RunRecord): RunRecord {
  const jobs = record.jobs
    ?.toSorted((a, b) => a.job_id - b.job_id)
    .map(({ objects, ...job }) => ({
      ...job,
      objects: objects.toSorted((a, b) => canonicalBytes(a).compare(canonicalBytes(b))),
    }));
  return { ...record, job_ids: record.job_ids.toSorted((a, b) => a - b), ...(jobs && { jobs }) };
}

/**
 * Reads the record `key` of job `jobId`. Costs one read if nothing is wrong.
 * @throws PermanentError `store/corrupt` when it does not exist, or is not a record of the job.
 */
export async function readLogRecord(store: Store, key: string, jobId: number): Promise<LogRecord> {
  const found = await readDocument(store, key, (bytes) => {
    const record = parseRecord(LogRecord, bytes, `${key} in ${store.url}`);
    if (record.job_id !== jobId) throw corrupt(`${key} in ${store.url}`);
    return record;
  });
  if (found) return found;
  throw new PermanentError(
    "store/corrupt",
    `The record ${key} does not exist in ${store.url}: something removed it. Restore it from a copy.`,
  );
}

/** Parses the bytes of the object `name`. @throws PermanentError `store/corrupt` when they do not match `schema`. */
export function parseRecord<S extends z.ZodType>(schema: S, bytes: Buffer, name: string): z.output<S> {
  try {
    return schema.parse(JSON.parse(bytes.toString("utf8")));
  } catch (error) {
    throw corrupt(name, error);
  }
}

/**
 * Reads one version of the job's record; undefined if it does not exist. Costs one read if nothing is wrong.
 * @throws PermanentError `store/corrupt` when it is not a record of this job.
 */
export async function readRecordVersion(
  store: Store,
  host: string,
  ref: JobRef,
  version: number,
): Promise<FoundRecord | undefined> {
  const key = recordKey(host, ref, version);
  return readDocument(store, key, (bytes) => parseLogRecord(bytes, { host, key, name: `${key} in ${store.url}` }));
}

/**
 * Parses the bytes of the object under `key`.
 * @param object `name`: the object's name in error messages.
 * @throws PermanentError `store/corrupt` when it is not a record of `host` and of the job in the key.
 */
export function parseLogRecord(
  bytes: Buffer,
  { host, key, name }: { readonly host: string; readonly key: string; readonly name: string },
): FoundRecord {
  const record = parseRecord(LogRecord, bytes, name);
  const parsed = tryParseKey(key);
  if (parsed?.kind !== "record" || parsed.host !== host || !isRecordOf(record, host, parsed)) throw corrupt(name);
  return { key, version: parsed.version, size: bytes.length, sha256: hashOf(bytes), record };
}

type Versions = { readonly records: readonly FoundRecord[]; readonly passedOver: readonly PassedOverRecord[] };

async function readVersions(store: Store, host: string, ref: JobRef): Promise<Versions> {
  const records: FoundRecord[] = [];
  const passedOver: PassedOverRecord[] = [];
  for (let version = 1; version <= maxVersions; version += 1) {
    try {
      const found = await readRecordVersion(store, host, ref, version);
      if (found === undefined) break;
      records.push(found);
    } catch (error) {
      if (!isCorrupt(error)) throw error;
      passedOver.push({ key: recordKey(host, ref, version), version, error });
    }
  }
  return { records, passedOver };
}

// The hash of the object under the previous key, even if it is not a record, so that the chain has no gap and states what this writer
// found. An object too large for a record is not hashed, which could take hours; the newest valid version is named instead.
async function previousOf(
  store: Store,
  newest: FoundRecord | undefined,
  passedOver: PassedOverRecord | undefined,
): Promise<string | null> {
  const ofNewest = newest?.sha256 ?? null;
  if (passedOver === undefined || passedOver.version < (newest?.version ?? 0)) return ofNewest;
  const { key } = passedOver;
  const sizeBytes = (await store.head(key))?.sizeBytes ?? Infinity;
  return sizeBytes > maxReadBytes(key) ? ofNewest : ((await readFingerprint(store, key))?.sha256 ?? ofNewest);
}

// Checks the ids of the record, those of the job object in it, and that the log's key is one of the job's. Otherwise another job's log or a
// foreign object would be loaded and sealed as this job's evidence.
function isRecordOf(record: LogRecord, host: string, ref: JobRef): boolean {
  const { job, log } = record;
  const isOwn =
    record.host === host &&
    record.repository_id === ref.repository_id &&
    record.run_id === ref.run_id &&
    record.job_id === ref.job_id &&
    job["id"] === ref.job_id &&
    job["run_id"] === ref.run_id;
  if (!isOwn || log.state === "absent") return isOwn;
  return log.key === logKey(host, ref) || log.key === conflictingLogKey(host, ref, log.raw_sha256);
}

// Two workers reach the same decision at different times and after different versions.
function hasSameContent(a: LogRecord, b: LogRecord): boolean {
  const contentOf = (record: LogRecord) =>
    canonicalBytes({ ...record, log: withoutAdopted(record.log), decided_at: null, previous_sha256: null });
  return contentOf(a).equals(contentOf(b));
}

// Each of two concurrent workers may find the log that the other has stored, which is not a different outcome.
function withoutAdopted(log: LogRecord["log"]): LogRecord["log"] {
  return log.state === "archived" ? { ...log, flags: log.flags.filter((flag) => flag !== "adopted") } : log;
}

function hashOf(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}

// A record that readers refuse must not be written: it would be skipped and written again each time.
function assertWritable(key: string, store: Store, { length }: Buffer): void {
  if (length > maxReadBytes(key))
    throw refused(key, store, `it has ${length} bytes, more than the limit of ${maxReadBytes(key)}`);
}

function refused(key: string, store: Store, why: string): PermanentError {
  return new PermanentError("store/refused", `The record ${key} was not written to ${store.url}: ${why}. Report this.`);
}

function corrupt(name: string, cause?: unknown): PermanentError {
  return new PermanentError(
    "store/corrupt",
    `The record ${name} is not valid for its key: it was changed, or a newer version wrote it. Restore it from a copy, or use the newer version.`,
    { cause },
  );
}
