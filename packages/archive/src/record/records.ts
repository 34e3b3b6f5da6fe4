// Reads and writes records. Versions of a job's record are only ever added: the story of a job is the list of its versions.

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
  /** Of the object, in bytes. */
  readonly size: number;
  /** Of the object's bytes, lower-case hex. */
  readonly sha256: string;
  readonly record: LogRecord;
};

/** What lies under a key of the job's record and is no record of the job: damaged, planted, or of a newer version of this program. */
export type PassedOverRecord = {
  readonly key: string;
  readonly version: number;
  /** Why it is none. */
  readonly error: PermanentError;
};

export type FoundRunRecord = {
  readonly key: string;
  /** Of the object, in bytes. */
  readonly size: number;
  /** Of the object's bytes, lower-case hex. */
  readonly sha256: string;
  readonly record: RunRecord;
};

/** A job's record without what `putRecord` knows best. */
export type NewLogRecord = Omit<LogRecord, "schema_version" | "previous_sha256">;

/** Writers of one job that meet again and again are a bug or an attack; each lost race costs a version. */
const maxRaces = 10;

/** A job has two or three versions; whoever plants what is passed over cannot make each look at a job endless. */
export const maxVersions = 100;

/**
 * The record in force: the highest version, but archived outranks absent. One call when there is none, two when there is one.
 * A version that is no record of this job is passed over, since nothing under a record's key may keep a log from being archived:
 * it stays as evidence, and `onPassedOver` is told. Idempotent.
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
 * Makes `record` the next version. When the record in force, or the newest, says the same already (the times of deciding
 * and who stored the log aside), nothing is written and that one is returned: safe to repeat, and for two workers at once.
 * @param replaces the record in force that `record` was made from, if any: one that another writer has put in force meanwhile stays.
 * @throws PermanentError `store/refused` for a record that its readers would pass over, or when the job's versions are used up.
 * @throws TransientError `store/unavailable` when writers keep meeting, or another record than `replaces` is in force.
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
    const told = LogRecord.parse(wellFormed({ ...record, schema_version: 1, previous_sha256: null }));
    const same = [newest, inForce].find((found) => found !== undefined && saysTheSame(found.record, told));
    if (same) return { ...same, created: false };
    if (replaces !== undefined && inForce?.sha256 !== replaces.sha256)
      throw new TransientError("store/unavailable", `Another record than ${replaces.key} is in force now. It is tried again.`);
    const version = records.length + passedOver.length + 1;
    const key = recordKey(host, ref, version);
    if (!isRecordOf(told, host, ref)) throw refused(key, store, "it is not of the job, or names a log that is not the job's");
    if (version > maxVersions) throw refused(key, store, `there are ${maxVersions} versions: look at them`);
    const next = { ...told, previous_sha256: await previousOf(store, newest, passedOver.at(-1)) };
    const body = canonicalBytes(next);
    assertWritable(key, store, body);
    const [size, sha256] = [body.length, hashOf(body)];
    const outcome = await store.put(key, body, { sha256, contentType: "application/json" });
    if (outcome.kind === "created") return { key, version, size, sha256, record: next, created: true };
  }
  throw new TransientError(
    "store/unavailable",
    `Other workers keep writing records of job ${ref.job_id} of run ${ref.run_id}. It is tried again.`,
  );
}

/** @throws PermanentError `store/corrupt` */
export async function findRunRecord(store: Store, host: string, ref: AttemptRef): Promise<FoundRunRecord | undefined> {
  const key = runRecordKey(host, ref);
  return readDocument(store, key, (bytes) => {
    const record = parseRecord(RunRecord, bytes, `${key} in ${store.url}`);
    if (record.host !== host || record.run_id !== ref.run_id || record.run_attempt !== ref.run_attempt)
      throw corrupt(`${key} in ${store.url}`);
    return { key, size: bytes.length, sha256: hashOf(bytes), record };
  });
}

/** Writes an attempt's run record once; what is there already stays, and is returned. Idempotent. */
export async function putRunRecord(
  store: Store,
  host: string,
  ref: AttemptRef,
  record: Omit<RunRecord, "schema_version">,
): Promise<FoundRunRecord & { readonly created: boolean }> {
  const whole = inOrder(RunRecord.parse(wellFormed({ ...record, schema_version: 1 })));
  const key = runRecordKey(host, ref);
  const body = canonicalBytes(whole);
  assertWritable(key, store, body);
  const sha256 = hashOf(body);
  const outcome = await store.put(key, body, { sha256, contentType: "application/json" });
  if (outcome.kind === "created") return { key, size: body.length, sha256, record: whole, created: true };
  const found = await findRunRecord(store, host, ref);
  if (!found)
    throw new TransientError(
      "store/unavailable",
      `${key} in ${store.url} is said to exist and cannot be read. It is tried again.`,
    );
  return { ...found, created: false };
}

// By content, whatever the order in which it was received.
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
 * The record under `key`, which must be one of job `jobId`. One read, where nothing is wrong.
 * @throws PermanentError `store/corrupt` when it is not there, or not such a record.
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
    `The record ${key} is not in ${store.url}: something removed it. Restore it from a copy.`,
  );
}

/** The record in the bytes of the object `name`. @throws PermanentError `store/corrupt` */
export function parseRecord<S extends z.ZodType>(schema: S, bytes: Buffer, name: string): z.output<S> {
  try {
    return schema.parse(JSON.parse(bytes.toString("utf8")));
  } catch (error) {
    throw corrupt(name, error);
  }
}

/**
 * One version of the job's record; undefined when there is none. One read, where nothing is wrong.
 * @throws PermanentError `store/corrupt` when it is no record of this job.
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
 * The record in the bytes of the object under `key`.
 * @param of `name` is the object's, for people.
 * @throws PermanentError `store/corrupt` when it is not one of this host, and of the job that the key names.
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

// Of the bytes that lie under the key before, also where they are no record: so the chain has no hole and says what this writer found
// there, while the last good version is found by its own number. What is too large for a record is not worth the hours of hashing it.
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

// By its ids, by those of GitHub's object in it, and by the log that it names, which must lie under a key of the job: else another
// job's log, or a foreign object, would be loaded and sealed as this one's evidence.
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

// Two workers that reach the same decision reach it at different times, on top of different versions.
function saysTheSame(a: LogRecord, b: LogRecord): boolean {
  const essence = (record: LogRecord) =>
    canonicalBytes({ ...record, log: withoutAdopted(record.log), decided_at: null, previous_sha256: null });
  return essence(a).equals(essence(b));
}

// Of two workers at one log each may find what the other has stored: that is no other story of the log.
function withoutAdopted(log: LogRecord["log"]): LogRecord["log"] {
  return log.state === "archived" ? { ...log, flags: log.flags.filter((flag) => flag !== "adopted") } : log;
}

function hashOf(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}

// What no reader would take must not be written: it would be passed over, and written again and again.
function assertWritable(key: string, store: Store, { length }: Buffer): void {
  if (length > maxReadBytes(key)) throw refused(key, store, `it has ${length} bytes, over the ${maxReadBytes(key)} of its kind`);
}

function refused(key: string, store: Store, why: string): PermanentError {
  return new PermanentError("store/refused", `The record ${key} is not written to ${store.url}: ${why}. Report this.`);
}

function corrupt(name: string, cause?: unknown): PermanentError {
  return new PermanentError(
    "store/corrupt",
    `The record ${name} is not one that this version wrote for its key: it was changed, or a newer version wrote it. Restore it from a copy, or use the newer version.`,
    { cause },
  );
}
