// The handler of the archive queue: one job's log, from the first look into the bucket to its record. Every step may have
// been done before, by a worker that died: each is a look, an exclusive write, or a question that can be asked again.

import { logFacts } from "@actions-archive/archive/log-facts";
import { putLog } from "@actions-archive/archive/logs";
import { SpoolFullError } from "@actions-archive/archive/spool";
import { PermanentError } from "@actions-archive/core/errors";
import { logKey } from "@actions-archive/core/object-key";
import type { Delivery, Handler } from "@actions-archive/core/queue";
import type { LogFlag } from "@actions-archive/core/states";
import { deferLog, deferUnsettledLog, failLog, finishRelook } from "@actions-archive/database/log-states";
import { deathsUntilAlone, findSameLog, forgetDeathAlone } from "@actions-archive/database/logs-in-flight";
import { findObligation, type Obligation } from "@actions-archive/database/obligations";
import { noteGoneLog } from "@actions-archive/database/repositories";
import { findDamagedLog } from "@actions-archive/database/scrub";

import { adoptStoredLog } from "./adopt-log.ts";
import { type Download, downloadLog } from "./download-log.ts";
import { type JobFacts, jobFacts } from "./job-facts.ts";
import { type Emptiness, judgeAbsence } from "./judge-absence.ts";
import { flagsOf, lacksEnd } from "./judge-log.ts";
import type { LogWorker } from "./log-worker.ts";
import { repairLog } from "./repair-log.ts";
import { settleFailure } from "./settle-failure.ts";
import { textFacts } from "./text-facts.ts";
import { waitForOriginal } from "./wait-for-original.ts";
import { handOverExisting, writeAbsence, writeOutcome } from "./write-outcome.ts";

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
  const job = await findObligation(db, jobId);
  if (job === undefined)
    throw new PermanentError("queue/unknown-payload", `The ledger has no job ${jobId}; the message is dropped`);
  const isSettled = job.log_state === "archived" || job.log_state === "absent";
  if (isSettled && job.relook_at === null) return "done";
  return worker.flights.take({ jobId, isAlone: flight.isAlone }, async (deaths) => {
    if (deaths > deathsUntilAlone) return failCrashed(worker, job);
    if (deaths === deathsUntilAlone && !flight.isAlone) return "alone";
    try {
      await archiveOne(worker, job, flight.signal);
    } catch (error) {
      if (error instanceof SpoolFullError && !flight.isAlone) return "alone";
      await settleFailure(worker, job, error, flight);
    }
    return "done";
  });
}

async function failCrashed({ db, log }: LogWorker, job: Obligation): Promise<"done"> {
  const { job_id: jobId, run_id: runId, full_name: repository } = job;
  const detail = `The worker died while it worked on this log alone, after ${deathsUntilAlone} deaths beside others. See its last log lines; it is tried again alone.`;
  await failLog(db, jobId, "crashed", detail);
  await forgetDeathAlone(db, jobId);
  log.error({ repository, runId, jobId, reason: "crashed" }, "log failed");
  return "done";
}

async function archiveOne(worker: LogWorker, job: Obligation, signal: AbortSignal): Promise<void> {
  const damaged = job.log_state === "archived" ? await findDamagedLog(worker.db, job.job_id) : undefined;
  if (damaged !== undefined) return await repairLog(worker, job, damaged, signal);
  if (await handOverExisting(worker, job)) return;
  const facts = jobFacts(job.object);
  // Only these two may end without a question to GitHub, and not where a log lies there that lacks its record.
  const mayNeedNoLog = facts.conclusion === "skipped" || job.run_attempt > 1;
  if (mayNeedNoLog && (await worker.store.head(logKey(worker.host, job))) === undefined) {
    if (facts.conclusion === "skipped") return writeAbsence(worker, job, "not_run");
    if (await waitForOriginal(worker, job, signal)) return;
  }
  await using resources = new AsyncDisposableStack();
  const download = await downloadLog(worker, job, { resources, signal });
  // Awaited here: the spooled body goes away when this function ends.
  if (download.kind === "log") return await storeLog(worker, job, facts, download, signal);
  if (download.kind === "gone") return settleGone(worker, job, facts, download.date);
  return settleNothing(worker, job, facts, download, signal);
}

async function storeLog(
  worker: LogWorker,
  job: Obligation,
  facts: JobFacts,
  { totals, body }: Extract<Download, { kind: "log" }>,
  signal: AbortSignal,
): Promise<void> {
  const { db, store, host, settings } = worker;
  if (job.unsettled_at === null && lacksEnd(totals, facts.completedAt)) {
    return deferUnsettledLog(db, job.job_id, settings.LOG_SETTLE_SECONDS, "the log lacks its end; it is read once more");
  }
  const stored = await putLog(store, host, job, body, totals, signal);
  // There before, without a record: an earlier try's, or that of another worker who is about to write the record.
  if (stored.existing && (await handOverExisting(worker, job))) return;
  const flags: LogFlag[] = [
    ...flagsOf(totals, facts.completedAt),
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
    ...textFacts(totals),
  };
  await writeOutcome(worker, job, log, logFacts(totals, facts.steps));
}

async function settleGone(worker: LogWorker, job: Obligation, { completedAt }: JobFacts, date: Date): Promise<void> {
  if (completedAt !== undefined)
    await noteGoneLog(worker.db, job.repository_id, Math.max(0, Math.floor((date.getTime() - completedAt.getTime()) / 1000)));
  await settleAbsent(worker, job, "expired");
}

async function settleNothing(
  worker: LogWorker,
  job: Obligation,
  facts: JobFacts,
  emptiness: Emptiness,
  signal: AbortSignal,
): Promise<void> {
  const absence = await judgeAbsence(worker, job, facts, emptiness, signal);
  if (absence.kind === "wait") return deferLog(worker.db, job.job_id, absence.seconds, "GitHub has no log yet");
  if (absence.kind === "no-access") return failLog(worker.db, job.job_id, "no_access", absence.detail);
  // A job that failed before is asked for a last time once its log has expired.
  await settleAbsent(worker, job, absence.reason);
}

async function settleAbsent(worker: LogWorker, job: Obligation, reason: Parameters<typeof writeAbsence>[2]): Promise<void> {
  const adopted = await adoptStoredLog(worker, job);
  if (adopted !== undefined) {
    const { log, text } = adopted;
    const flags = [...log.flags, ...(await flagsBesideOthers(worker, job, log.raw_sha256, log.raw_bytes))];
    return writeOutcome(worker, job, { ...log, flags: flags.toSorted() }, text);
  }
  if (job.relook_at !== null) return finishRelook(worker.db, job.job_id);
  await writeAbsence(worker, job, reason);
}

async function flagsBesideOthers(
  { db }: LogWorker,
  { job_id: jobId }: Obligation,
  rawSha256: string,
  rawBytes: number,
): Promise<LogFlag[]> {
  return (await findSameLog(db, { jobId, rawSha256, rawBytes })) === undefined ? [] : ["same_as_other_job"];
}
