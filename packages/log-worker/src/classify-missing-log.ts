// Classifies why a log is missing, in a fixed order. A single answer decides nothing: a second answer or
// another known fact must agree with it (docs/decisions/0019-absent-needs-two-answers.md).

import type { AbsentLog } from "@actions-archive/archive/record/record";
import { PermanentError } from "@actions-archive/core/errors";
import { defaultRetentionDays, type LogJob } from "@actions-archive/database/ledger/log-jobs";
import type { UnconfirmedAnswer } from "@actions-archive/database/ledger/log-states";
import { renameRepository } from "@actions-archive/database/ledger/repositories";
import { getKnownRepository } from "@actions-archive/github/endpoints/repositories";
import { getJob } from "@actions-archive/github/endpoints/workflow-jobs";
import { listRuns } from "@actions-archive/github/endpoints/workflow-runs";

import { type JobFacts, jobFacts } from "./job-facts.ts";
import type { LogWorker } from "./log-worker.ts";

const hour = 60 * 60;
const day = 24 * hour;
/**
 * The delays between retries when only time decides. The first retry corrects a single wrong answer; each later delay equals the
 * time elapsed so far.
 */
const firstWaitSeconds = 10;
const minWaitSeconds = 10 * 60;
const maxWaitSeconds = 6 * hour;
/** A 410 is consistent with the known retention from this share of it on, since GitHub's deletion time is not exact. */
const expectedGoneShare = 0.9;

export type RetriedLog = {
  /** `young`: the log may not be there yet. */
  readonly kind: "young" | "unconfirmed";
  readonly seconds: number;
  readonly detail: string;
  /** The answer that a second one must confirm; undefined when this one proved nothing. */
  readonly unconfirmed: UnconfirmedAnswer | undefined;
};

export type MissingLog =
  | RetriedLog
  | { readonly kind: "absent"; readonly reason: AbsentLog["reason"] }
  /** A confirmed 410; `ageSeconds` is the log's age at the first one. */
  | { readonly kind: "gone"; readonly ageSeconds: number }
  | { readonly kind: "no-access"; readonly detail: string };

/** GitHub's answer without a log; `date` is the answer's Date. */
export type NoLog = { readonly answer: "not_found" | "empty"; readonly date: Date };

/**
 * Classifies a 404, a BlobNotFound or zero bytes.
 * @throws RateLimitedError, TransientError, PermanentError `github/unauthorized` of the requests about the repository and the job.
 */
export async function classifyMissingLog(
  worker: LogWorker,
  job: LogJob,
  facts: JobFacts,
  { answer, date }: NoLog,
  signal: AbortSignal,
): Promise<MissingLog> {
  const { LOG_WAIT_SECONDS, LOG_SETTLE_SECONDS } = worker.settings;
  const ageSeconds = ageOf(job, facts, date);
  const unconfirmed = firstOf(job, answer, date);
  const wait = waitSeconds(ageSeconds, job.tries, LOG_WAIT_SECONDS);
  if (wait !== undefined) return { kind: "young", seconds: wait, detail: "GitHub has no log yet", unconfirmed };
  if (answer === "not_found" && facts.neverRan !== undefined) {
    const read = await readJob(worker, job, signal);
    if (read === undefined || read.neverRan !== undefined) return { kind: "absent", reason: facts.neverRan };
  }
  // A recheck needs no second answer: the state was confirmed when it was recorded.
  const isRecheck = job.recheck_at !== null;
  const agreedSeconds = isRecheck ? day : secondsBetween(unconfirmed.at, date);
  const isFirst = job.unconfirmed_answer !== answer;
  if (!isRecheck && (isFirst || agreedSeconds < LOG_SETTLE_SECONDS)) {
    const seconds = Math.max(0, LOG_SETTLE_SECONDS - agreedSeconds);
    return {
      kind: "unconfirmed",
      seconds,
      detail: `${describe(answer)}; it is retried before the log is classified as absent`,
      unconfirmed,
    };
  }
  if (answer === "empty") return { kind: "absent", reason: "empty" };
  const access = await checkRepository(worker, job, signal);
  if ("problem" in access) return { kind: "no-access", detail: access.problem };
  if (access.fullName !== job.full_name) {
    await renameRepository(worker.db, job.repository_id, access.fullName);
    const detail = `the repository is now ${access.fullName}; the log is retried under that name`;
    return { kind: "unconfirmed", seconds: 1, detail, unconfirmed: undefined };
  }
  // In a recheck, only `expired` and jobs that may never have run depend on the job's object.
  const dependsOnJob = !isRecheck || job.log_reason === "expired" || facts.mayNeverHaveRun;
  const read = dependsOnJob ? await readJob(worker, job, signal) : undefined;
  if (read === undefined && !isRecheck && agreedSeconds < day) {
    const seconds = retrySeconds(agreedSeconds);
    const detail = `${describe(answer)}, and 404 for the job, while the repository is readable; the log is absent if this lasts until ${timeAfter(unconfirmed.at, day)}`;
    return { kind: "unconfirmed", seconds, detail, unconfirmed };
  }
  if (facts.mayNeverHaveRun && read?.neverRan !== undefined) return { kind: "absent", reason: read.neverRan };
  const isUnclear = facts.mayNeverHaveRun && read?.mayNeverHaveRun === true;
  if (isUnclear && !isRecheck && agreedSeconds < day) {
    const detail = `${describe(answer)}, and the job's object does not show whether it ran; the log is absent if this lasts until ${timeAfter(unconfirmed.at, day)}`;
    return { kind: "unconfirmed", seconds: retrySeconds(agreedSeconds), detail, unconfirmed };
  }
  const isExpired = [facts, read ?? facts].every((each) => ageOf(job, each, date) > retentionSeconds(job));
  return { kind: "absent", reason: isExpired ? "expired" : "deleted" };
}

/**
 * Classifies a 410 at `date`, by GitHub's clock. Near the end of the retention it is accepted at once, otherwise after a second
 * 410 a day later.
 */
export function classifyGoneLog(job: LogJob, facts: JobFacts, date: Date): MissingLog {
  const ageSeconds = ageOf(job, facts, date);
  const retention = retentionSeconds(job);
  if (job.recheck_at !== null || ageSeconds >= expectedGoneShare * retention) return { kind: "absent", reason: "expired" };
  const unconfirmed = firstOf(job, "gone", date);
  const agreedSeconds = secondsBetween(unconfirmed.at, date);
  if (agreedSeconds >= day) return { kind: "gone", ageSeconds: Math.max(0, Math.floor(ageSeconds - agreedSeconds)) };
  const detail = `GitHub answered 410 for a log that is ${inDays(ageSeconds)} old, while logs are kept for ${inDays(retention)}; the log has expired if this lasts until ${timeAfter(unconfirmed.at, day)}`;
  return { kind: "unconfirmed", seconds: retrySeconds(agreedSeconds), detail, unconfirmed };
}

/**
 * @returns the seconds until a young job's log is retried: 2, 4, … 60, and not past `waitForSeconds`; undefined once the job is
 * that old.
 */
export function waitSeconds(ageSeconds: number, tries: number, waitForSeconds: number): number | undefined {
  if (ageSeconds >= waitForSeconds) return undefined;
  const backoff = Math.min(60, 2 ** Math.min(tries + 1, 6));
  return Math.max(1, Math.min(backoff, Math.ceil(waitForSeconds - ageSeconds)));
}

/**
 * The repository's log retention in seconds: the endpoint's answer, else the age at which two jobs' logs had expired, else
 * GitHub's default of 90 days.
 */
export function retentionSeconds({
  log_retention_days,
  youngest_gone_seconds,
}: Pick<LogJob, "log_retention_days" | "youngest_gone_seconds">): number {
  if (log_retention_days !== null) return log_retention_days * day;
  return youngest_gone_seconds ?? defaultRetentionDays * day;
}

/** The answer, with the time of the first equal one. */
export function firstOf(job: LogJob, answer: string, date: Date): UnconfirmedAnswer {
  return { answer, at: (job.unconfirmed_answer === answer ? job.unconfirmed_at : null) ?? date };
}

export function secondsBetween(from: Date, to: Date): number {
  return Math.max(0, (to.getTime() - from.getTime()) / 1000);
}

// A job without completed_at had ended when its object was received, so it is at least that old.
function ageOf(job: LogJob, { completedAt }: JobFacts, date: Date): number {
  return (date.getTime() - (completedAt ?? job.object_received_at).getTime()) / 1000;
}

/** As long as the answer has lasted, and not past the day that confirms it. */
function retrySeconds(lastedSeconds: number): number {
  if (lastedSeconds < firstWaitSeconds) return firstWaitSeconds;
  return Math.ceil(Math.min(Math.max(lastedSeconds, minWaitSeconds), maxWaitSeconds, day - lastedSeconds));
}

function describe(answer: NoLog["answer"]): string {
  return answer === "empty" ? "GitHub served a log of zero bytes" : "GitHub answered 404 for the log";
}

function inDays(seconds: number): string {
  return `${Math.round((seconds / day) * 10) / 10} days`;
}

function timeAfter(start: Date, seconds: number): string {
  return `${new Date(start.getTime() + seconds * 1000).toISOString().slice(0, 16)}Z`;
}

// Lost access is indistinguishable from deletion, so the repository and its runs must be readable before a log is classified as
// deleted.
async function checkRepository(
  { github }: LogWorker,
  { full_name, repository_id }: LogJob,
  signal: AbortSignal,
): Promise<{ readonly fullName: string } | { readonly problem: string }> {
  try {
    const { data } = await getKnownRepository(github, { repositoryId: repository_id, fullName: full_name, signal });
    await listRuns(github, { repository: data.full_name, perPage: 1, signal });
    return { fullName: data.full_name };
  } catch (error) {
    if (error instanceof PermanentError && error.code !== "github/unauthorized") return { problem: error.message };
    throw error;
  }
}

/**
 * Reads the job from GitHub, since the ledger's object may be wrong.
 * @returns undefined when GitHub answers 404, which during an outage it may do for every job while repositories and runs are
 * readable.
 */
async function readJob({ github }: LogWorker, { full_name, job_id }: LogJob, signal: AbortSignal): Promise<JobFacts | undefined> {
  try {
    return jobFacts((await getJob(github, { repository: full_name, jobId: job_id, signal })).data);
  } catch (error) {
    if (error instanceof PermanentError && error.code !== "github/unauthorized") return undefined;
    throw error;
  }
}
