// The handler of the archive queue: one job's log, from the first look into the bucket to its record. Every step may have
// been done before, by a worker that died: each is a look, an exclusive write, or a question that can be asked again.

import { logFacts } from "@actions-archive/archive/log-facts";
import { putLog } from "@actions-archive/archive/logs";
import { PermanentError } from "@actions-archive/core/errors";
import type { Handler } from "@actions-archive/core/queue";
import type { LogFlag } from "@actions-archive/core/states";
import { deferLog, deferUnsettledLog, failLog, finishRelook } from "@actions-archive/database/log-states";
import { findSameLog } from "@actions-archive/database/logs";
import { findObligation, type Obligation } from "@actions-archive/database/obligations";
import { noteGoneLog } from "@actions-archive/database/repositories";

import { adoptStoredLog } from "./adopt-log.ts";
import { type Download, downloadLog } from "./download-log.ts";
import { type JobFacts, jobFacts } from "./job-facts.ts";
import { type Emptiness, judgeAbsence } from "./judge-absence.ts";
import { flagsOf, lacksEnd } from "./judge-log.ts";
import type { LogWorker } from "./log-worker.ts";
import { settleFailure } from "./settle-failure.ts";
import { textFacts } from "./text-facts.ts";
import { waitForOriginal } from "./wait-for-original.ts";
import { handOverExisting, writeAbsence, writeOutcome } from "./write-outcome.ts";

/** Archives the log of a job of the ledger, or finds out why there is none. Idempotent. */
export function archiveLog(worker: LogWorker): Handler<"archive"> {
  return async ({ job_id }, delivery) => {
    const job = await findObligation(worker.db, job_id);
    if (job === undefined)
      throw new PermanentError("queue/unknown-payload", `The ledger has no job ${job_id}; the message is dropped`);
    const isSettled = job.log_state === "archived" || job.log_state === "absent";
    if (isSettled && job.relook_at === null) return;
    try {
      await archiveOne(worker, job, delivery.signal);
    } catch (error) {
      await settleFailure(worker, job, error, delivery);
    }
  };
}

async function archiveOne(worker: LogWorker, job: Obligation, signal: AbortSignal): Promise<void> {
  if (await handOverExisting(worker, job)) return;
  const facts = jobFacts(job.object);
  if (facts.conclusion === "skipped") return writeAbsence(worker, job, "not_run");
  if (await waitForOriginal(worker, job, signal)) return;
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
    ...((await findSameLog(db, { rawSha256: totals.rawSha256, rawBytes: totals.rawBytes, butOf: job.job_id })) === undefined
      ? []
      : (["same_as_other_job"] as const)),
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
  if (adopted !== undefined) return writeOutcome(worker, job, adopted.log, adopted.text);
  if (job.relook_at !== null) return finishRelook(worker.db, job.job_id);
  await writeAbsence(worker, job, reason);
}
