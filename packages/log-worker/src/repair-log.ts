// Repairs an archived log that is missing or damaged: stores GitHub's copy under a key of its own.

import { extractLog, replaceTextFlags } from "@actions-archive/archive/log/facts/extraction";
import { putConflictingLog } from "@actions-archive/archive/log/logs";
import type { LogJob } from "@actions-archive/database/ledger/log-jobs";
import { deferLog, finishRecheck } from "@actions-archive/database/ledger/log-states";
import { recordRepair } from "@actions-archive/database/seal/scrub";

import { downloadLog } from "./download-log.ts";
import { jobFacts } from "./job-facts.ts";
import type { LogWorker } from "./log-worker.ts";
import { findOwnRecord, writeOutcome } from "./write-outcome.ts";

/** A download with other bytes is retried daily until the log expires. */
const retrySeconds = 24 * 60 * 60;

/**
 * Downloads the log and stores it under a further key when its raw bytes equal the archived ones; a further version of the record
 * names that key. Idempotent.
 */
export async function repairLog(worker: LogWorker, job: LogJob, damagedKey: string, signal: AbortSignal): Promise<void> {
  const { db, store, host, log } = worker;
  const context = { repository: job.full_name, runId: job.run_id, jobId: job.job_id, objectKey: damagedKey };
  const archived = (await findOwnRecord(worker, job))?.record.log;
  if (archived?.state !== "archived") return finishRecheck(db, job.job_id);
  if (archived.key !== damagedKey) {
    await recordRepair(db, damagedKey, archived.key);
    return finishRecheck(db, job.job_id);
  }
  await using resources = new AsyncDisposableStack();
  const download = await downloadLog(worker, job, { resources, signal });
  if (download.kind !== "log" || download.totals.rawSha256 !== archived.raw_sha256) {
    log.error({ ...context, found: download.kind }, "damaged log not repaired: GitHub's log differs");
    return deferLog(db, job.job_id, retrySeconds, "GitHub's log differs from the archived bytes");
  }
  const { totals, body } = download;
  const stored = await putConflictingLog(store, host, job, body, totals, signal);
  const { key, storedBytes: stored_bytes, storedSha256: stored_sha256, versionId } = stored;
  const extraction = extractLog(totals, jobFacts(job.object));
  const location = { key, version_id: versionId ?? null, stored_bytes, stored_sha256 };
  const flags = replaceTextFlags(archived.flags, extraction);
  await writeOutcome(worker, job, { ...archived, ...location, flags, ...extraction.text }, extraction.facts);
  await recordRepair(db, damagedKey, key);
  await finishRecheck(db, job.job_id);
  log.warn({ ...context, repairedBy: key }, "damaged log repaired");
}
