// The handler of the archive queue: archives one job's log. A crashed worker may have done any step before, so every step is a
// read, an exclusive write or an idempotent request.

import { extractLog } from "@actions-archive/archive/log/facts/extraction";
import { lacksEnd, lacksTimestamps } from "@actions-archive/archive/log/facts/log-flags";
import { putLog } from "@actions-archive/archive/log/logs";
import { SpoolFullError } from "@actions-archive/archive/log/spool";
import { PermanentError, TransientError } from "@actions-archive/core/errors";
import { logKey } from "@actions-archive/core/object-key";
import type { Delivery, Handler } from "@actions-archive/core/queue";
import type { LogFlag } from "@actions-archive/core/states";
import { findLogJob, type LogJob } from "@actions-archive/database/ledger/log-jobs";
import { crashLimit, findSameLog, resetCrashCount } from "@actions-archive/database/ledger/log-leases";
import { deferIncompleteLog, deferUntilConfirmed, failLog, finishRecheck } from "@actions-archive/database/ledger/log-states";
import { recordGoneLog } from "@actions-archive/database/ledger/repositories";
import { findDamagedLog } from "@actions-archive/database/seal/scrub";

import { adoptStoredLog } from "./adopt-log.ts";
import { classifyGoneLog, classifyMissingLog, firstOf, type MissingLog, secondsBetween } from "./classify-missing-log.ts";
import { deferIfCopied } from "./defer-if-copied.ts";
import { type Download, downloadLog } from "./download-log.ts";
import { handleFailure } from "./handle-failure.ts";
import { type JobFacts, jobFacts } from "./job-facts.ts";
import type { LogWorker } from "./log-worker.ts";
import { repairLog } from "./repair-log.ts";
import { findOwnRecord, enqueueExistingRecord, writeAbsence, writeOutcome } from "./write-outcome.ts";

/** Archives the log of a job in the ledger, or records why there is none. Idempotent. */
export function archiveLog(worker: LogWorker): Handler<"archive"> {
  return async ({ job_id }, delivery) => {
    const { rwLock } = worker;
    const { signal } = delivery;
    const outcome = await rwLock.shared(signal, () => archiveUnderLease(worker, job_id, { ...delivery, isAlone: false }));
    if (outcome === "exclusive")
      await rwLock.exclusive(signal, () => archiveUnderLease(worker, job_id, { ...delivery, isAlone: true }));
  };
}

type LeasedDelivery = Delivery & { readonly isAlone: boolean };

/** @returns `exclusive` when nothing was done because the log must be processed exclusively. */
async function archiveUnderLease(worker: LogWorker, jobId: number, delivery: LeasedDelivery): Promise<"done" | "exclusive"> {
  const { db } = worker;
  const job = await findLogJob(db, jobId);
  if (job === undefined)
    throw new PermanentError("queue/unknown-payload", `Job ${jobId} is not in the ledger; its queue entry is dropped`);
  const isSettled = job.log_state === "archived" || job.log_state === "absent";
  if (isSettled && job.recheck_at === null) return "done";
  return worker.logLeases.take({ jobId, isAlone: delivery.isAlone }, async (crashes) => {
    if (crashes > crashLimit) return failCrashed(worker, job);
    if (crashes === crashLimit && !delivery.isAlone) return "exclusive";
    try {
      await archiveOne(worker, job, delivery.signal);
    } catch (error) {
      if (error instanceof SpoolFullError && !delivery.isAlone) return "exclusive";
      await handleFailure(worker, job, error, delivery);
    }
    return "done";
  });
}

async function failCrashed({ db, log }: LogWorker, job: LogJob): Promise<"done"> {
  const { job_id: jobId, run_id: runId, full_name: repository } = job;
  const detail = `The worker crashed while it processed only this log, after ${crashLimit} crashes with other logs in progress. Check the worker's last log lines. The log is retried exclusively.`;
  await failLog(db, jobId, "crashed", detail);
  await resetCrashCount(db, jobId);
  log.error({ repository, runId, jobId, reason: "crashed" }, "log failed");
  return "done";
}

async function archiveOne(worker: LogWorker, job: LogJob, signal: AbortSignal): Promise<void> {
  const damaged = job.log_state === "archived" ? await findDamagedLog(worker.db, job.job_id) : undefined;
  if (damaged !== undefined) return await repairLog(worker, job, damaged, signal);
  if (job.log_state === "archived") return await recheckArchived(worker, job, signal);
  if (await enqueueExistingRecord(worker, job)) return;
  const facts = jobFacts(job.object);
  // Only these two cases need no request to GitHub, and only when the store has no log that lacks its record.
  const mayNeedNoLog = facts.isSkipped || job.run_attempt > 1;
  if (mayNeedNoLog && (await worker.store.head(logKey(worker.host, job))) === undefined) {
    if (facts.isSkipped) return writeAbsence(worker, job, "not_run");
    if (await deferIfCopied(worker, job, signal)) return;
  }
  await using resources = new AsyncDisposableStack();
  const download = await downloadLog(worker, job, { resources, signal });
  // Awaited here, since the spooled body is removed when this function returns.
  if (download.kind === "log") return await storeLog(worker, job, facts, download, signal);
  if (download.kind === "gone") return handleMissing(worker, job, classifyGoneLog(job, facts, download.date));
  await handleMissing(worker, job, await classifyMissingLog(worker, job, facts, download, signal));
}

/**
 * Requests a log again that was archived without timestamps, since it may have been a proxy's error text. A log with timestamps
 * is stored under a key of its own, and a further version of the record names it.
 */
async function recheckArchived(worker: LogWorker, job: LogJob, signal: AbortSignal): Promise<void> {
  const archived = (await findOwnRecord(worker, job))?.record.log;
  if (archived?.state === "archived" && archived.flags.includes("no_timestamps")) {
    await using resources = new AsyncDisposableStack();
    const download = await downloadLog(worker, job, { resources, signal });
    if (download.kind === "log" && !lacksTimestamps(download.totals))
      await storeLog(worker, job, jobFacts(job.object), download, signal);
  }
  await finishRecheck(worker.db, job.job_id);
}

async function storeLog(
  worker: LogWorker,
  job: LogJob,
  facts: JobFacts,
  { date, totals, body }: Extract<Download, { kind: "log" }>,
  signal: AbortSignal,
): Promise<void> {
  const { db, store, host, settings } = worker;
  if (lacksTimestamps(totals) && (await deferUntimedLog(worker, job, totals.rawSha256, date))) return;
  if (job.log_state !== "archived" && job.incomplete_read_at === null && lacksEnd(totals, facts.completedAt)) {
    return deferIncompleteLog(db, job.job_id, settings.LOG_SETTLE_SECONDS, "the log lacks its end; it is downloaded once more");
  }
  const put = () => putLog(store, host, job, body, totals, signal);
  const stored = await (worker.activity === undefined ? put() : worker.activity.whileWorking(put));
  // The log already existed without a record: written by an earlier attempt, or by another worker that is about to write the
  // record.
  if (stored.existing && job.log_state !== "archived" && (await enqueueExistingRecord(worker, job))) return;
  const { text, flags: textFlags, facts: extracted } = extractLog(totals, facts);
  const flags: LogFlag[] = [
    ...textFlags,
    ...(stored.conflict ? (["changed_since"] as const) : []),
    ...(stored.existing ? (["adopted"] as const) : []),
    ...(await flagsOfEqualLogs(worker, job, totals.rawSha256, totals.rawBytes)),
  ];
  const log = {
    state: "archived" as const,
    flags: flags.toSorted(),
    key: stored.key,
    version_id: stored.versionId ?? null,
    raw_bytes: totals.rawBytes,
    raw_sha256: totals.rawSha256,
    stored_bytes: stored.storedBytes,
    stored_sha256: stored.storedSha256,
    ...text,
  };
  await writeOutcome(worker, job, log, extracted);
}

/**
 * Defers a log in which no line has a timestamp: it is archived only after two equal answers.
 * @returns false when the second equal answer came.
 * @throws TransientError `log/upstream-error` when the answers differ, as during an outage; after the last attempt the log fails.
 */
async function deferUntimedLog({ db, settings }: LogWorker, job: LogJob, rawSha256: string, date: Date): Promise<boolean> {
  const unconfirmed = firstOf(job, `sha256:${rawSha256}`, date);
  const agreedSeconds = secondsBetween(unconfirmed.at, date);
  const isSecond = job.unconfirmed_answer === unconfirmed.answer;
  if (isSecond && agreedSeconds >= settings.LOG_SETTLE_SECONDS) return false;
  const isOther = !isSecond && job.unconfirmed_answer?.startsWith("sha256:") === true;
  const seconds = Math.max(0, settings.LOG_SETTLE_SECONDS - agreedSeconds);
  const detail = "no line of the log has a timestamp; it is downloaded again before it is archived";
  await deferUntilConfirmed(db, job.job_id, { unconfirmed, seconds, detail });
  if (isOther) throw new TransientError("log/upstream-error", `Job ${job.job_id} of ${job.full_name}: ${detail}`);
  return true;
}

async function handleMissing(worker: LogWorker, job: LogJob, missing: MissingLog): Promise<void> {
  const { db } = worker;
  switch (missing.kind) {
    case "young":
      return deferUntilConfirmed(db, job.job_id, missing);
    case "unconfirmed":
      if (missing.unconfirmed !== undefined && (await adoptLog(worker, job))) return;
      return deferUntilConfirmed(db, job.job_id, missing);
    case "no-access":
      return failLog(db, job.job_id, "no_access", missing.detail);
    case "gone":
      await recordGoneLog(db, job.repository_id, { jobId: job.job_id, ageSeconds: missing.ageSeconds });
      return recordAbsent(worker, job, "expired");
    case "absent":
      return recordAbsent(worker, job, missing.reason);
  }
}

async function recordAbsent(worker: LogWorker, job: LogJob, reason: Parameters<typeof writeAbsence>[2]): Promise<void> {
  if (await adoptLog(worker, job)) return;
  // A reason is corrected in two cases. A log recorded as expired under a shorter retention was deleted; the reverse only means
  // that time has passed. A log recorded as deleted has none when the job's object only now shows that it did not run.
  const isCorrected = (job.log_reason === "expired" && reason === "deleted") || reason === "not_run" || reason === "not_a_job";
  if (job.recheck_at !== null && !isCorrected) return finishRecheck(worker.db, job.job_id);
  await writeAbsence(worker, job, reason);
}

/**
 * Writes the record of a stored log that lacks one.
 * @returns whether there was such a log.
 */
async function adoptLog(worker: LogWorker, job: LogJob): Promise<boolean> {
  const adopted = await adoptStoredLog(worker, job);
  if (adopted === undefined) return false;
  const { log, facts } = adopted;
  const flags = [...log.flags, ...(await flagsOfEqualLogs(worker, job, log.raw_sha256, log.raw_bytes))];
  await writeOutcome(worker, job, { ...log, flags: flags.toSorted() }, facts);
  return true;
}

async function flagsOfEqualLogs(
  { db }: LogWorker,
  { job_id: jobId }: LogJob,
  rawSha256: string,
  rawBytes: number,
): Promise<LogFlag[]> {
  return (await findSameLog(db, { jobId, rawSha256, rawBytes })) === undefined ? [] : ["same_as_other_job"];
}
