// Reads and writes records. Versions of a job's record are only ever added: the story of a job is the list of its versions.

import { createHash } from "node:crypto";

import { PermanentError, TransientError } from "@actions-archive/core/errors";
import type { AttemptRef, JobRef } from "@actions-archive/core/ids";
import { recordKey, runRecordKey } from "@actions-archive/core/object-key";
import type { z } from "zod";

import { canonicalBytes, wellFormed } from "./canonical-bytes.ts";
import { LogRecord, RunRecord } from "./record.ts";
import type { Store } from "./store.ts";

export type FoundRecord = {
  readonly key: string;
  /** From 1. */
  readonly version: number;
  /** Of the object's bytes, lower-case hex. */
  readonly sha256: string;
  readonly record: LogRecord;
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

/**
 * The record in force: the highest version, but archived outranks absent. One call when there is none, two when there is one.
 * @throws PermanentError `store/corrupt` when a version is not a record of this job.
 */
export async function findRecord(store: Store, host: string, ref: JobRef): Promise<FoundRecord | undefined> {
  const versions = await readVersions(store, host, ref);
  return versions.findLast(({ record }) => record.log.state === "archived") ?? versions.at(-1);
}

/**
 * Makes `record` the next version. When the record in force, or the newest, says the same already (the times of deciding
 * and who stored the log aside), nothing is written and that one is returned: safe to repeat, and for two workers at once.
 */
export async function putRecord(
  store: Store,
  host: string,
  ref: JobRef,
  record: NewLogRecord,
): Promise<FoundRecord & { readonly created: boolean }> {
  for (let race = 0; race < maxRaces; race += 1) {
    const versions = await readVersions(store, host, ref);
    const newest = versions.at(-1);
    const inForce = versions.findLast((version) => version.record.log.state === "archived");
    const next = LogRecord.parse(wellFormed({ ...record, schema_version: 1, previous_sha256: newest?.sha256 ?? null }));
    const same = [newest, inForce].find((version) => version !== undefined && saysTheSame(version.record, next));
    if (same) return { ...same, created: false };
    const version = versions.length + 1;
    const key = recordKey(host, ref, version);
    const body = canonicalBytes(next);
    const sha256 = hashOf(body);
    const outcome = await store.put(key, body, { sha256, contentType: "application/json" });
    if (outcome.kind === "created") return { key, version, sha256, record: next, created: true };
  }
  throw new TransientError(
    "store/unavailable",
    `Other workers keep writing records of job ${ref.job_id} of run ${ref.run_id}. It is tried again.`,
  );
}

/** @throws PermanentError `store/corrupt` */
export async function findRunRecord(store: Store, host: string, ref: AttemptRef): Promise<FoundRunRecord | undefined> {
  const key = runRecordKey(host, ref);
  const bytes = await store.read(key);
  if (!bytes) return undefined;
  const record = parseRecord(RunRecord, bytes, `${key} in ${store.url}`);
  if (record.host !== host || record.run_id !== ref.run_id || record.run_attempt !== ref.run_attempt)
    throw corrupt(`${key} in ${store.url}`);
  return { key, size: bytes.length, sha256: hashOf(bytes), record };
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
 * The record under `key`, which must be one of job `jobId`. One read.
 * @throws PermanentError `store/corrupt` when it is not there, or not such a record.
 */
export async function readLogRecord(store: Store, key: string, jobId: number): Promise<LogRecord> {
  const bytes = await store.read(key);
  if (!bytes)
    throw new PermanentError(
      "store/corrupt",
      `The record ${key} is not in ${store.url}: something removed it. Restore it from a copy.`,
    );
  const record = parseRecord(LogRecord, bytes, `${key} in ${store.url}`);
  if (record.job_id !== jobId) throw corrupt(`${key} in ${store.url}`);
  return record;
}

/** The record in the bytes of the object `name`. @throws PermanentError `store/corrupt` */
export function parseRecord<S extends z.ZodType>(schema: S, bytes: Buffer, name: string): z.output<S> {
  try {
    return schema.parse(JSON.parse(bytes.toString("utf8")));
  } catch (error) {
    throw corrupt(name, error);
  }
}

async function readVersions(store: Store, host: string, ref: JobRef): Promise<FoundRecord[]> {
  const versions: FoundRecord[] = [];
  for (let version = 1; ; version += 1) {
    const key = recordKey(host, ref, version);
    const bytes = await store.read(key);
    if (!bytes) return versions;
    const record = parseRecord(LogRecord, bytes, `${key} in ${store.url}`);
    if (
      record.host !== host ||
      record.job_id !== ref.job_id ||
      record.run_id !== ref.run_id ||
      record.repository_id !== ref.repository_id
    ) {
      throw corrupt(`${key} in ${store.url}`);
    }
    versions.push({ key, version, sha256: hashOf(bytes), record });
  }
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

function corrupt(name: string, cause?: unknown): PermanentError {
  return new PermanentError(
    "store/corrupt",
    `The record ${name} is not one that this version wrote for its key: it was changed, or a newer version wrote it. Restore it from a copy, or use the newer version.`,
    { cause },
  );
}
