// The end of one archiving: the record object, which is the commit mark, and the message that has it loaded.

import type { LogFacts } from "@actions-archive/archive/log-facts";
import type { AbsentLog, LogRecord } from "@actions-archive/archive/record";
import { findRecord, type FoundRecord, putRecord } from "@actions-archive/archive/records";
import { noteRecord } from "@actions-archive/database/log-states";
import type { Obligation } from "@actions-archive/database/obligations";

import type { LogWorker } from "./log-worker.ts";

type Outcome = LogRecord["log"];

/**
 * Writes the record and queues its load. `text`: what the log's text says, if there is a log. Idempotent: the same story twice
 * is one record.
 */
export async function writeOutcome(worker: LogWorker, job: Obligation, outcome: Outcome, text?: LogFacts): Promise<void> {
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
    ...text,
    decided_at: new Date().toISOString(),
  });
  await handOver(worker, job, record);
  const facts =
    outcome.state === "archived"
      ? { sizeBytes: outcome.raw_bytes, objectKey: outcome.key, flags: outcome.flags }
      : { reason: outcome.reason };
  log.info(
    { repository: full_name, runId: run_id, jobId: job_id, ...facts },
    outcome.state === "archived" ? "log archived" : "log absent",
  );
}

export async function writeAbsence(
  worker: LogWorker,
  job: Obligation,
  reason: AbsentLog["reason"],
  copiedFrom: number | null = null,
): Promise<void> {
  await writeOutcome(worker, job, { state: "absent", reason, copied_from: copiedFrom });
}

/** A record that an earlier try left behind: whether there was one, and its load is queued. */
export async function handOverExisting(worker: LogWorker, job: Obligation): Promise<boolean> {
  const found = await findRecord(worker.store, worker.host, job);
  if (found === undefined) return false;
  // A log that looked deleted is asked for once more before its expiry.
  const isSecondLook = job.relook_at !== null && found.record.log.state === "absent" && found.record.log.reason === "deleted";
  if (isSecondLook) return false;
  await handOver(worker, job, found);
  return true;
}

async function handOver({ db, loadQueue }: LogWorker, { job_id }: Obligation, { key }: FoundRecord): Promise<void> {
  await noteRecord(db, job_id, key);
  await loadQueue.add([{ kind: "record", job_id, key }]);
}
