// Writes the outcome of archiving a log: the record object, which commits it, and the queue entry that loads it.

import type { Extraction } from "@actions-archive/archive/log/facts/extraction";
import type { AbsentLog, LogRecord } from "@actions-archive/archive/record/record";
import { findRecord, type FoundRecord, type PassedOverRecord, putRecord } from "@actions-archive/archive/record/records";
import { readFingerprint } from "@actions-archive/archive/store/fingerprint";
import type { LogJob } from "@actions-archive/database/ledger/log-jobs";
import { recordWrittenRecord } from "@actions-archive/database/ledger/log-states";
import { findObjects } from "@actions-archive/database/ledger/objects";
import { recordDamages } from "@actions-archive/database/seal/scrub";

import { jobFacts } from "./job-facts.ts";
import type { LogWorker } from "./log-worker.ts";

type Outcome = LogRecord["log"];

/**
 * Writes the record and enqueues its load. Idempotent: an equal outcome creates no second record.
 * @param facts what was extracted from the log's text, if there is a log.
 */
export async function writeOutcome(worker: LogWorker, job: LogJob, outcome: Outcome, facts?: Extraction["facts"]): Promise<void> {
  const { store, host, log } = worker;
  const { repository_id, run_id, job_id, run_attempt, last_listed_attempt, full_name } = job;
  const record = await putRecord(store, host, job, {
    host,
    repository_id,
    repository: full_name,
    run_id,
    job_id,
    run_attempt,
    last_listed_attempt,
    // The ledger holds the object as JSON, as it was received.
    job: job.object as LogRecord["job"],
    job_source: job.object_source as LogRecord["job_source"],
    job_received_at: job.object_received_at.toISOString(),
    log: outcome,
    ...facts,
    decided_at: new Date().toISOString(),
  });
  await enqueueLoad(worker, job, record);
  measureOutcome(worker, job, outcome);
  const fields =
    outcome.state === "archived"
      ? { sizeBytes: outcome.raw_bytes, objectKey: outcome.key, flags: outcome.flags }
      : { reason: outcome.reason };
  log.info(
    { repository: full_name, runId: run_id, jobId: job_id, ...fields },
    outcome.state === "archived" ? "log archived" : "log absent",
  );
}

function measureOutcome({ metrics }: LogWorker, { object }: LogJob, outcome: Outcome): void {
  const isArchived = outcome.state === "archived";
  metrics?.logs.inc({ state: outcome.state, reason: isArchived ? "" : outcome.reason });
  if (!isArchived) return;
  metrics?.logBytes.inc({ kind: "raw" }, outcome.raw_bytes);
  metrics?.logBytes.inc({ kind: "stored" }, outcome.stored_bytes);
  const { completedAt } = jobFacts(object);
  if (completedAt !== undefined) metrics?.archiveLag.observe(Math.max(0, (Date.now() - completedAt.getTime()) / 1_000));
}

export async function writeAbsence(
  worker: LogWorker,
  job: LogJob,
  reason: AbsentLog["reason"],
  copiedFrom: number | null = null,
): Promise<void> {
  await writeOutcome(worker, job, { state: "absent", reason, copied_from: copiedFrom });
}

/**
 * Enqueues the load of a record that an earlier attempt wrote.
 * @returns whether there was such a record.
 */
export async function enqueueExistingRecord(worker: LogWorker, job: LogJob): Promise<boolean> {
  const found = await findOwnRecord(worker, job);
  if (found === undefined) return false;
  const { log } = found.record;
  if (job.recheck_at !== null && log.state === "absent") return false;
  await enqueueLoad(worker, job, found);
  return true;
}

/**
 * Finds the record in force. An object under the job's record keys that is no record of the job is evidence: it is skipped,
 * logged, and recorded as damage where the loader had read it as a record. Idempotent.
 */
export async function findOwnRecord(worker: LogWorker, job: LogJob): Promise<FoundRecord | undefined> {
  const skipped: PassedOverRecord[] = [];
  const found = await findRecord(worker.store, worker.host, job, (each) => skipped.push(each));
  if (skipped.length > 0) await recordAsDamage(worker, job, skipped);
  return found;
}

async function recordAsDamage({ db, store, log }: LogWorker, job: LogJob, skipped: readonly PassedOverRecord[]): Promise<void> {
  const context = { repository: job.full_name, runId: job.run_id, jobId: job.job_id };
  for (const { key, error } of skipped) log.error({ ...context, err: error, objectKey: key }, "record skipped");
  const known = await findObjects(
    db,
    skipped.map(({ key }) => key),
  );
  for (const { key, size, sha256 } of known) {
    // A record that a newer version wrote is undamaged when it still has the bytes that the loader read.
    const isAsKnown = (await store.head(key))?.sizeBytes === size && (await readFingerprint(store, key))?.sha256 === sha256;
    if (!isAsKnown) await recordDamages(db, [{ key, finding: "damaged" }]);
  }
}

async function enqueueLoad({ db, loadQueue }: LogWorker, { job_id }: LogJob, { key }: FoundRecord): Promise<void> {
  await recordWrittenRecord(db, job_id, key);
  await loadQueue.add([{ kind: "record", job_id, key }]);
}
