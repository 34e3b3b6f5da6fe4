// Decides why there is no log, in the order of docs/states.md. A single answer decides nothing: a second one must agree with it, or
// something else that is known (docs/decisions/0019-absent-needs-two-answers.md).

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
/** The retry of what only time can prove. One wrong answer heals at the first; each later wait is as long as all before it. */
const firstWaitSeconds = 10;
const minWaitSeconds = 10 * 60;
const maxWaitSeconds = 6 * hour;
/** A 410 at this share of the known retention agrees with it: the end of a log's time is not exact. */
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
  /** A 410 that was confirmed, on a log that was so old at the first one. */
  | { readonly kind: "gone"; readonly ageSeconds: number }
  | { readonly kind: "no-access"; readonly detail: string };

/** What GitHub answered instead of a log, at `date` by its own clock. */
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
  // What is checked again was confirmed when it was decided.
  const isRecheck = job.relook_at !== null;
  const agreedSeconds = isRecheck ? day : secondsBetween(unconfirmed.at, date);
  const isFirst = job.unconfirmed_answer !== answer;
  if (!isRecheck && (isFirst || agreedSeconds < LOG_SETTLE_SECONDS)) {
    const seconds = Math.max(0, LOG_SETTLE_SECONDS - agreedSeconds);
    return {
      kind: "unconfirmed",
      seconds,
      detail: `${describe(answer)}; it is retried before the log is called absent`,
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
  // Of what is checked again, only `expired` depends on the job, and what may never have run.
  const dependsOnJob = !isRecheck || job.log_reason === "expired" || facts.mayNeverHaveRun;
  const read = dependsOnJob ? await readJob(worker, job, signal) : undefined;
  if (read === undefined && !isRecheck && agreedSeconds < day) {
    const seconds = retrySeconds(agreedSeconds);
    const detail = `${describe(answer)}, and 404 for the job itself, while the repository can be read; the log is absent if that lasts until ${timeAfter(unconfirmed.at, day)}`;
    return { kind: "unconfirmed", seconds, detail, unconfirmed };
  }
  if (facts.mayNeverHaveRun && read?.neverRan !== undefined) return { kind: "absent", reason: read.neverRan };
  const isUnclear = facts.mayNeverHaveRun && read?.mayNeverHaveRun === true;
  if (isUnclear && !isRecheck && agreedSeconds < day) {
    const detail = `${describe(answer)}, and the job's object does not say whether it ran; the log is absent if that lasts until ${timeAfter(unconfirmed.at, day)}`;
    return { kind: "unconfirmed", seconds: retrySeconds(agreedSeconds), detail, unconfirmed };
  }
  const isExpired = [facts, read ?? facts].every((each) => ageOf(job, each, date) > retentionSeconds(job));
  return { kind: "absent", reason: isExpired ? "expired" : "deleted" };
}

/** Classifies a 410 at `date`, by GitHub's clock: expected of a log near the end of its retention, else confirmed a day later. */
export function classifyGoneLog(job: LogJob, facts: JobFacts, date: Date): MissingLog {
  const ageSeconds = ageOf(job, facts, date);
  const retention = retentionSeconds(job);
  if (job.relook_at !== null || ageSeconds >= expectedGoneShare * retention) return { kind: "absent", reason: "expired" };
  const unconfirmed = firstOf(job, "gone", date);
  const agreedSeconds = secondsBetween(unconfirmed.at, date);
  if (agreedSeconds >= day) return { kind: "gone", ageSeconds: Math.max(0, Math.floor(ageSeconds - agreedSeconds)) };
  const detail = `GitHub answered 410 for a log that is ${inDays(ageSeconds)} old, while logs are kept for ${inDays(retention)}; it has expired if that lasts until ${timeAfter(unconfirmed.at, day)}`;
  return { kind: "unconfirmed", seconds: retrySeconds(agreedSeconds), detail, unconfirmed };
}

/** How long until a young job's log is retried: 2 s, 4 s, … a minute, and never far beyond the end of the wait. */
export function waitSeconds(ageSeconds: number, tries: number, waitForSeconds: number): number | undefined {
  if (ageSeconds >= waitForSeconds) return undefined;
  const backoff = Math.min(60, 2 ** Math.min(tries + 1, 6));
  return Math.max(1, Math.min(backoff, Math.ceil(waitForSeconds - ageSeconds)));
}

/** How long logs are kept here: the endpoint's answer, else the age at which two jobs' logs had expired, else GitHub's default. */
export function retentionSeconds({
  log_retention_days,
  youngest_gone_seconds,
}: Pick<LogJob, "log_retention_days" | "youngest_gone_seconds">): number {
  if (log_retention_days !== null) return log_retention_days * day;
  return youngest_gone_seconds ?? defaultRetentionDays * day;
}

/** The answer with the time of the first one alike. */
export function firstOf(job: LogJob, answer: string, date: Date): UnconfirmedAnswer {
  return { answer, at: (job.unconfirmed_answer === answer ? job.unconfirmed_at : null) ?? date };
}

export function secondsBetween(from: Date, to: Date): number {
  return Math.max(0, (to.getTime() - from.getTime()) / 1000);
}

// A job that does not say when it ended had ended when it was received: it is at least that old.
function ageOf(job: LogJob, { completedAt }: JobFacts, date: Date): number {
  return (date.getTime() - (completedAt ?? job.object_received_at).getTime()) / 1000;
}

/** As long as it has lasted, and not beyond the day that proves it. */
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

// Lost access looks like deletion, so the repository and its runs must be readable before a log is called deleted.
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
 * The job as GitHub describes it now: the object that the ledger has may have been wrong. Undefined where GitHub answers 404 for it, which it
 * may do in an outage for every job while repositories and runs can be read.
 */
async function readJob({ github }: LogWorker, { full_name, job_id }: LogJob, signal: AbortSignal): Promise<JobFacts | undefined> {
  try {
    return jobFacts((await getJob(github, { repository: full_name, jobId: job_id, signal })).data);
  } catch (error) {
    if (error instanceof PermanentError && error.code !== "github/unauthorized") return undefined;
    throw error;
  }
}
