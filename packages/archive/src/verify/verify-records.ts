// Compares records and run records with their seals and keys, and a job's records with each other.

import { createHash } from "node:crypto";

import { PermanentError } from "@actions-archive/core/errors";
import { recordKey, runRecordKey } from "@actions-archive/core/object-key";
import type { z } from "zod";

import { type ArchivedLog, LogRecord, RunRecord } from "../record/record.ts";
import { parseRecord } from "../record/records.ts";
import { ArchiveIdentity } from "../store/archive-identity.ts";
import { readDocument } from "../store/read-document.ts";
import type { JobToVerify } from "./listing.ts";
import { isOwnLog, type NamedLog, verifyNamedLog } from "./verify-log.ts";
import { isSpanned, tamper, type Verification } from "./verify-state.ts";

/** Verifies all versions of a job's record, their chain, and the logs that they name. */
export async function verifyJob(verification: Verification, { records }: JobToVerify): Promise<void> {
  const read: { readonly record: LogRecord; readonly key: string; readonly version: number; readonly sha256: string }[] = [];
  for (const { key, version } of records) {
    const found = await readObject(verification, key, LogRecord);
    if (!found) continue;
    verification.totals.records += 1;
    const { value: record, sha256 } = found;
    if (recordKey(record.host, record, version) !== key || !isOwnObject(record)) {
      refuse(verification, key, "has ids of another job, run or repository than its key");
      continue;
    }
    read.push({ record, key, version, sha256 });
  }
  for (const { record, key, version } of read) {
    const before = read.find((each) => each.version === version - 1)?.sha256;
    checkPrevious(verification, { record, key, version, before });
  }
  const logs: (NamedLog & { readonly log: ArchivedLog })[] = [];
  for (const { record, key } of read) {
    if (record.log.state !== "archived") continue;
    if (isOwnLog(record, record.log.key)) logs.push({ log: record.log, recordKey: key });
    else refuse(verification, key, `names ${record.log.key}, which is not a log of this job`);
  }
  for (const [key, named] of Map.groupBy(logs, ({ log }) => log.key)) await verifyNamedLog(verification, key, named);
}

/** Verifies the run record `key`. */
export async function verifyRunRecord(verification: Verification, key: string): Promise<void> {
  const found = await readObject(verification, key, RunRecord);
  if (!found) return;
  verification.totals.runRecords += 1;
  const { value: record } = found;
  if (runRecordKey(record.host, record) !== key || !isOwnRun(record))
    refuse(verification, key, "has ids of another run or attempt than its key, or contains another run's jobs");
}

/** Compares `archive.json` with the seals. */
export async function verifyIdentity(verification: Verification, key: string): Promise<void> {
  const found = await readObject(verification, key, ArchiveIdentity);
  const { head } = verification.chain;
  if (!found || !head) return;
  const { archive_id, host } = found.value;
  if (archive_id !== head.archive_id || host !== head.host)
    refuse(verification, key, `names archive ${archive_id} of ${host}, but the seals name ${head.archive_id} of ${head.host}`);
}

/** Reads and parses the object; undefined if it was tampered with, which is reported, or is outside the span. */
async function readObject<S extends z.ZodType>(
  verification: Verification,
  key: string,
  schema: S,
): Promise<{ readonly value: z.output<S>; readonly sha256: string } | undefined> {
  const { store, index } = verification;
  const row = index.find(key);
  if (row !== undefined && !isSpanned(verification, row)) return undefined;
  try {
    const found = await readDocument(store, key, (bytes) => {
      const sha256 = createHash("sha256").update(bytes).digest("hex");
      if (row !== undefined && index.sealOf(row) > 0 && sha256 !== index.sha256Of(row))
        throw new PermanentError(
          "store/corrupt",
          `has the hash ${sha256}, but ${index.sha256Of(row)} in seal ${index.sealOf(row)}`,
        );
      return { value: parseRecord(schema, bytes, key), sha256 };
    });
    if (!found) tamper(verification, "missing", key, "was listed but cannot be read");
    return found;
  } catch (error) {
    if (!(error instanceof PermanentError && error.code === "store/corrupt")) throw error;
    refuse(verification, key, error.message);
    return undefined;
  }
}

// The ids in GitHub's object, if present, must be those of the record.
function isOwnObject({ job, job_id, run_id }: LogRecord): boolean {
  const { id, run_id: runId } = job;
  return (id === undefined || id === job_id) && (runId === undefined || runId === run_id);
}

function isOwnRun({ run, run_id, run_attempt, jobs = [] }: RunRecord): boolean {
  const { id = run_id, run_attempt: attempt = run_attempt } = run;
  const areOwnJobs = jobs.every(({ job_id, objects }) =>
    objects.every(({ id: job = job_id, run_id: ofRun = run_id }) => job === job_id && ofRun === run_id),
  );
  return id === run_id && attempt === run_attempt && areOwnJobs;
}

type Place = {
  readonly record: LogRecord;
  readonly key: string;
  readonly version: number;
  /** The hash of the previous version, if it was read. */
  readonly before: string | undefined;
};

function checkPrevious(verification: Verification, { record, key, version, before }: Place): void {
  if (version === 1) {
    if (record.previous_sha256 !== null) refuse(verification, key, "is the first version, but names a previous one");
    return;
  }
  if (record.previous_sha256 === null) refuse(verification, key, "is a later version, but names no previous one");
  const { index } = verification;
  const previousKey = recordKey(record.host, record, version - 1);
  const row = index.find(previousKey);
  if (row === undefined) {
    tamper(verification, "missing", previousKey, `is missing, although the next version ${key} exists`);
    return;
  }
  const expected = index.sealOf(row) > 0 ? index.sha256Of(row) : before;
  // A previous version that is damaged or was not read is reported separately.
  if (expected !== undefined && record.previous_sha256 !== null && record.previous_sha256 !== expected)
    refuse(verification, key, `names another previous version than ${previousKey}`);
}

function refuse(verification: Verification, key: string, detail: string): void {
  tamper(verification, "invalid", key, detail);
}
