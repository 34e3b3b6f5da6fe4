// Determines what a case contains for a job, and which seals prove it.

import type { LogRecord } from "@actions-archive/archive/record/record";
import { readLogRecord } from "@actions-archive/archive/record/records";
import { PermanentError } from "@actions-archive/core/errors";
import { runRecordKey } from "@actions-archive/core/object-key";
import { findTombstoneSeal, listSealKeys } from "@actions-archive/database/audit/case-seals";
import { findLog } from "@actions-archive/database/audit/logs";
import type { Database } from "@actions-archive/database/connection/open-database";
import { findLogJob } from "@actions-archive/database/ledger/log-jobs";
import { findObjects } from "@actions-archive/database/ledger/objects";

import type { Archive } from "../proof/prove-object.ts";

export type PlannedJob = {
  readonly jobId: number;
  readonly record: LogRecord;
  readonly recordKey: string;
  /** Undefined while the attempt is not complete, since no run record is written before. */
  readonly runKey: string | undefined;
  /** Undefined when there is no log, or when it was removed. */
  readonly log: Extract<LogRecord["log"], { state: "archived" }> | undefined;
  /** The seal whose tombstone explains why an archived log was removed. */
  readonly tombstoneSeal: number | undefined;
};

/**
 * Plans the case of one job. Reads only.
 * @throws PermanentError `usage/invalid` for a job that is unknown or has no record yet, and for a removal that is not sealed
 * yet; `store/corrupt` for a damaged record.
 */
export async function planJob({ db, store }: Archive, jobId: number): Promise<PlannedJob> {
  const location = await findLog(db, jobId);
  if (location === undefined) throw await explainNoRecord(db, jobId);
  const record = await readLogRecord(store, location.record_key, jobId);
  const runKey = runRecordKey(record.host, record);
  const planned = {
    jobId,
    record,
    recordKey: location.record_key,
    runKey: (await findObjects(db, [runKey])).length > 0 ? runKey : undefined,
  };
  const { log } = record;
  if (log.state !== "archived") return { ...planned, log: undefined, tombstoneSeal: undefined };
  if (location.log_key !== null) return { ...planned, log, tombstoneSeal: undefined };
  const tombstoneSeal = await findTombstoneSeal(db, log.key);
  if (tombstoneSeal === null)
    throw new PermanentError(
      "usage/invalid",
      `The removal of the log of job ${jobId} is in no seal yet: wait for the next one, or run \`seal\`.`,
    );
  return { ...planned, log: tombstoneSeal === undefined ? log : undefined, tombstoneSeal };
}

async function explainNoRecord(db: Database, jobId: number): Promise<PermanentError> {
  const job = await findLogJob(db, jobId);
  return new PermanentError(
    "usage/invalid",
    job === undefined
      ? `No job ${jobId} is known. Its repository may not be archived, or its run not listed yet: actions-archive status`
      : `Job ${jobId} of run ${job.run_id} in ${job.full_name} has no record yet: its log is ${job.log_state ?? "pending"}${job.log_reason ? `, ${job.log_reason}` : ""}. Export it when the log is archived or absent; actions-archive gaps shows what is missing.`,
  );
}

/**
 * @returns `needed` and the seals after them up to one that the key signed: each seal names the hash of the preceding one.
 * @throws PermanentError `usage/invalid` when the key signed none of them and none after them.
 */
export async function completeChain(db: Database, needed: ReadonlySet<number>, keyId: string): Promise<number[]> {
  const first = Math.min(...needed);
  const chain = Number.isFinite(first) ? await listSealKeys(db, first) : [];
  const all = new Set(needed);
  let isOpen = false;
  for (const { sequence, key_id } of chain) {
    isOpen ||= needed.has(sequence);
    if (isOpen) all.add(sequence);
    if (key_id === keyId) isOpen = false;
  }
  if (!isOpen) return [...all].toSorted((a, b) => a - b);
  throw new PermanentError(
    "usage/invalid",
    `The key of SHA-256 ${keyId} signed neither the seals of these jobs nor one after them: name the key that sealed them, or a later one of the chain, with --public-key FILE.`,
  );
}
