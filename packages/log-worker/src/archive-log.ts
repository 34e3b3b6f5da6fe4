// The handler of the archive queue: one job's log, from the first look into the bucket to its record. Every step may have
// been done before, by a worker that died: each is a look, an exclusive write, or a question that can be asked again.

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
import { findOwnRecord, handOverExisting, writeAbsence, writeOutcome } from "./write-outcome.ts";

/** Archives the log of a job of the ledger, or finds out why there is none. Idempotent. */
export function archiveLog(worker: LogWorker): Handler<"archive"> {
  return async ({ job_id }, delivery) => {
    const { gate } = worker;
    const { signal } = delivery;
    const end = await gate.together(signal, () => archiveInFlight(worker, job_id, { ...delivery, isAlone: false }));
    if (end === "alone") await gate.alone(signal, () => archiveInFlight(worker, job_id, { ...delivery, isAlone: true }));
  };
}

type Flight = Delivery & { readonly isAlone: boolean };

/** @returns `alone` when nothing came of it because the log must have the worker for itself. */
async function archiveInFlight(worker: LogWorker, jobId: number, flight: Flight): Promise<"done" | "alone"> {
  const { db } = worker;
  const job = await findLogJob(db, jobId);
  if (job === undefined)
    throw new PermanentError("queue/unknown-payload", `The ledger has no job ${jobId}; the message is dropped`);
  const isSettled = job.log_state === "archived" || job.log_state === "absent";
  if (isSettled && job.relook_at === null) return "done";
  return worker.logLeases.take({ jobId, isAlone: flight.isAlone }, async (deaths) => {
    if (deaths > crashLimit) return failCrashed(worker, job);
    if (deaths === crashLimit && !flight.isAlone) return "alone";
    try {
      await archiveOne(worker, job, flight.signal);
    } catch (error) {
      if (error instanceof SpoolFullError && !flight.isAlone) return "alone";
      await handleFailure(worker, job, error, flight);
    }
    return "done";
  });
}

async function failCrashed({ db, log }: LogWorker, job: LogJob): Promise<"done"> {
  const { job_id: jobId, run_id: runId, full_name: repository } = job;
  const detail = `The worker died while it worked on this log alone, after ${crashLimit} deaths beside others. See its last log lines; it is tried again alone.`;
  await failLog(db, jobId, "crashed", detail);
  await resetCrashCount(db, jobId);
  log.error({ repository, runId, jobId, reason: "crashed" }, "log failed");
  return "done";
}

async function archiveOne(worker: LogWorker, job: LogJob, signal: AbortSignal): Promise<void> {
  const damaged = job.log_state === "archived" ? await findDamagedLog(worker.db, job.job_id) : undefined;
  if (damaged !== undefined) return await repairLog(worker, job, damaged, signal);
  if (job.log_state === "archived") return await recheckArchived(worker, job, signal);
  if (await handOverExisting(worker, job)) return;
  const facts = jobFacts(job.object);
  // Only these two may end without a question to GitHub, and not where a log lies there that lacks its record.
  const mayNeedNoLog = facts.isSkipped || job.run_attempt > 1;
  if (mayNeedNoLog && (await worker.store.head(logKey(worker.host, job))) === undefined) {
    if (facts.isSkipped) return writeAbsence(worker, job, "not_run");
    if (await deferIfCopied(worker, job, signal)) return;
  }
  await using resources = new AsyncDisposableStack();
  const download = await downloadLog(worker, job, { resources, signal });
  // Awaited here: the spooled body goes away when this function ends.
  if (download.kind === "log") return await storeLog(worker, job, facts, download, signal);
  if (download.kind === "gone") return settleMissing(worker, job, classifyGoneLog(job, facts, download.date));
  await settleMissing(worker, job, await classifyMissingLog(worker, job, facts, download, signal));
}

/**
 * Requests a log again that was archived without any timestamp: it may have been the sentence of a proxy. A log with
 * timestamps is stored under a key of its own, and a further version of the record names it.
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
  if (job.log_state !== "archived" && job.unsettled_at === null && lacksEnd(totals, facts.completedAt)) {
    return deferIncompleteLog(db, job.job_id, settings.LOG_SETTLE_SECONDS, "the log lacks its end; it is read once more");
  }
  const put = () => putLog(store, host, job, body, totals, signal);
  const stored = await (worker.activity === undefined ? put() : worker.activity.whileWorking(put));
  // There before, without a record: an earlier try's, or that of another worker who is about to write the record.
  if (stored.existing && job.log_state !== "archived" && (await handOverExisting(worker, job))) return;
  const { text, flags: textFlags, facts: extracted } = extractLog(totals, facts);
  const flags: LogFlag[] = [
    ...textFlags,
    ...(stored.conflict ? (["changed_since"] as const) : []),
    ...(stored.existing ? (["adopted"] as const) : []),
    ...(await flagsBesideOthers(worker, job, totals.rawSha256, totals.rawBytes)),
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
 * A body in which no line has a timestamp is hardly a log: it must come twice alike. @returns false when it did.
 * @throws TransientError `log/upstream-error` when another one came: those of an outage differ, and the log fails in the end.
 */
async function deferUntimedLog({ db, settings }: LogWorker, job: LogJob, rawSha256: string, date: Date): Promise<boolean> {
  const unconfirmed = firstOf(job, `sha256:${rawSha256}`, date);
  const agreedSeconds = secondsBetween(unconfirmed.at, date);
  const isSecond = job.unconfirmed_answer === unconfirmed.answer;
  if (isSecond && agreedSeconds >= settings.LOG_SETTLE_SECONDS) return false;
  const isOther = !isSecond && job.unconfirmed_answer?.startsWith("sha256:") === true;
  const seconds = Math.max(0, settings.LOG_SETTLE_SECONDS - agreedSeconds);
  const detail = "no line of the log has a timestamp; it is read again before it is archived";
  await deferUntilConfirmed(db, job.job_id, { unconfirmed, seconds, detail });
  if (isOther) throw new TransientError("log/upstream-error", `Job ${job.job_id} of ${job.full_name}: ${detail}`);
  return true;
}

async function settleMissing(worker: LogWorker, job: LogJob, missing: MissingLog): Promise<void> {
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
      return settleAbsent(worker, job, "expired");
    case "absent":
      return settleAbsent(worker, job, missing.reason);
  }
}

async function settleAbsent(worker: LogWorker, job: LogJob, reason: Parameters<typeof writeAbsence>[2]): Promise<void> {
  if (await adoptLog(worker, job)) return;
  // What was called expired while the retention was believed to be shorter is deleted (the other way round, only time has passed), and what
  // was called deleted while the job's object did not say whether it ran has no log.
  const isCorrected = (job.log_reason === "expired" && reason === "deleted") || reason === "not_run" || reason === "not_a_job";
  if (job.relook_at !== null && !isCorrected) return finishRecheck(worker.db, job.job_id);
  await writeAbsence(worker, job, reason);
}

/** Whether a log without a record lay in the store: its record is written. */
async function adoptLog(worker: LogWorker, job: LogJob): Promise<boolean> {
  const adopted = await adoptStoredLog(worker, job);
  if (adopted === undefined) return false;
  const { log, facts } = adopted;
  const flags = [...log.flags, ...(await flagsBesideOthers(worker, job, log.raw_sha256, log.raw_bytes))];
  await writeOutcome(worker, job, { ...log, flags: flags.toSorted() }, facts);
  return true;
}

async function flagsBesideOthers(
  { db }: LogWorker,
  { job_id: jobId }: LogJob,
  rawSha256: string,
  rawBytes: number,
): Promise<LogFlag[]> {
  return (await findSameLog(db, { jobId, rawSha256, rawBytes })) === undefined ? [] : ["same_as_other_job"];
}
