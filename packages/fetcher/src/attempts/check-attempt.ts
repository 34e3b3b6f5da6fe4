// Checks one open attempt: is it complete, and which jobs does it have? Completed jobs go into the ledger at once, even while their
// run goes on. Whatever else GitHub answers, the attempt stays open and is checked again: a single answer closes nothing for good.

import { dayMs } from "@actions-archive/core/durations";
import { type ActionsArchiveError, PermanentError, TransientError } from "@actions-archive/core/errors";
import {
  type CheckOutcome,
  finishCheck,
  type LedgerAttempt,
  listKnownJobs,
  retractAttempts,
} from "@actions-archive/database/ledger/attempts";
import { recordJobs } from "@actions-archive/database/ledger/log-jobs";
import { recordRuns } from "@actions-archive/database/ledger/runs";
import { replaceUnusableJobs } from "@actions-archive/database/ledger/unusable-objects";
import { getRepository } from "@actions-archive/github/endpoints/repositories";
import { getRun, getRunAttempt } from "@actions-archive/github/endpoints/workflow-runs";
import type { WorkflowRun } from "@actions-archive/github/schemas";

import type { Fetcher } from "../fetcher.ts";
import type { ListedRepository } from "../runs/record-page.ts";
import { assessJobList, hasAgreed, retryLater } from "./assess-job-list.ts";
import {
  type AttemptJobs,
  type AttemptRequest,
  listAttemptJobs,
  relistAttemptJobs,
  unlessNotFound,
} from "./list-attempt-jobs.ts";

/** GitHub ends a run after 35 days. https://docs.github.com/actions/reference/limits */
const maxRunDays = 35;

/** Later checks of an attempt that goes on are further apart. */
const minRecheckSeconds = 60;
const maxRecheckSeconds = 60 * 60;

/** The runs that a list has just shown: all that were created at or after `from`. */
export type ShownOpenRun = { readonly from: Date };

export type CheckOptions = {
  readonly signal: AbortSignal;
  /** Spares asking for a run that the list has just shown to go on. */
  readonly shownOpen?: ShownOpenRun | undefined;
};

/**
 * Checks an open attempt and writes what it found. Idempotent.
 * @returns the error where GitHub refused an answer about this attempt alone; it stays open, and is checked again later.
 * @throws the client's other errors: a limit, a refused credential, and the 404 of the repository itself.
 */
export async function checkAttempt(
  fetcher: Fetcher,
  repository: ListedRepository,
  attempt: LedgerAttempt,
  options: CheckOptions,
): Promise<ActionsArchiveError | undefined> {
  const context = { repository: repository.full_name, runId: attempt.run_id, attempt: attempt.run_attempt };
  const check = { fetcher, repository, attempt, ...options };
  let refusal: ActionsArchiveError | undefined;
  let outcome: CheckOutcome;
  try {
    outcome = (await readAttempt(check)) ?? (await explainNotFound(check));
  } catch (error) {
    if (!isFromOneAttempt(error)) throw error;
    refusal = error;
    outcome = retryLater(attempt, "unreadable", { detail: error.message });
  }
  if (outcome.state === "open" && outcome.reason !== null && outcome.reason !== "settling")
    fetcher.log.warn({ ...context, reason: outcome.reason, detail: outcome.detail }, "attempt stays open");
  if (outcome.state === "gone" || outcome.state === "never_completed")
    fetcher.log.warn({ ...context, state: outcome.state }, "attempt closed");
  await finishCheck(fetcher.db, attempt, outcome);
  return refusal;
}

/** Whether GitHub refused an answer about one run alone, which says nothing of the others of its repository. */
export function isFromOneAttempt(error: unknown): error is ActionsArchiveError {
  if (error instanceof TransientError) return error.code === "github/unavailable" || error.code === "github/unexpected-answer";
  return error instanceof PermanentError && (error.code === "github/forbidden" || error.code === "github/gone");
}

type Check = CheckOptions & {
  readonly fetcher: Fetcher;
  readonly repository: ListedRepository;
  readonly attempt: LedgerAttempt;
};

/** @returns undefined when GitHub answered 404 for the run, or for its list of jobs. */
async function readAttempt(check: Check): Promise<CheckOutcome | undefined> {
  const { fetcher, repository, attempt, signal } = check;
  // Asked before the jobs are listed: only a listing that began after the completion is final.
  const run = await readRun(check);
  if (run === undefined) return undefined;
  // A rebuilt ledger may know a run by its id alone, and no list shows it again when it is old.
  if (attempt.status === null && attempt.run_attempt === attempt.newest_attempt && run.object !== undefined)
    await recordRuns(fetcher.db, repository.repository_id, [run.object], { now: fetcher.github.now() });
  const began = fetcher.github.now();
  const request = { repository: repository.full_name, runId: attempt.run_id, runAttempt: attempt.run_attempt, signal };
  const list = await listAttemptJobs(fetcher.github, request);
  if (list === undefined) return undefined;
  await replaceUnusableJobs(fetcher.db, { ...repository, ...attempt }, list.unusable);
  await recordListedJobs(check, list);
  if (!run.isComplete) return stillOpen(attempt, run, began);
  const completedAt = completionOf(attempt, run, list.jobs);
  // A short list whose count agrees is contradicted by what was seen before: by an earlier list, or by webhooks.
  const listed = new Set(list.jobs.map(({ id }) => id));
  const unlisted = (await listKnownJobs(fetcher.db, attempt)).filter((id) => !listed.has(id));
  const outcome = assessJobList(
    attempt,
    { ...list, unlisted },
    {
      conclusion: run.object?.conclusion ?? attempt.conclusion,
      completedForSeconds: completedAt === undefined ? undefined : (began.getTime() - completedAt) / 1000,
      settleSeconds: fetcher.settings.RUN_SETTLE_SECONDS,
      object: run.object,
    },
  );
  if (outcome.state !== "listed" || (await isConfirmed(check, request, list))) return outcome;
  const detail = `two lists of its jobs, moments apart, differ: the first shows ${list.jobs.length}`;
  return retryLater(attempt, "incomplete", { detail, object: run.object });
}

async function recordListedJobs({ fetcher, repository, attempt }: Check, { jobs }: AttemptJobs): Promise<void> {
  const sightings = jobs.map((object) => ({ object, source: "listing" as const, listedAttempt: attempt.run_attempt }));
  await recordJobs(fetcher.db, repository.repository_id, sightings);
}

// A list that is short once, and counts short, is contradicted by nothing but itself. While its ETag holds, this costs nothing of
// GitHub's limit. A job object of the second list may say more than the first one did.
async function isConfirmed(check: Check, request: AttemptRequest, list: AttemptJobs): Promise<boolean> {
  const second = await relistAttemptJobs(check.fetcher.github, request, list.etag);
  if (second === undefined || second === "unchanged") return second === "unchanged";
  await recordListedJobs(check, second);
  const ids = new Set(list.jobs.map(({ id }) => id));
  return second.isWhole && second.jobs.length === ids.size && second.jobs.every(({ id }) => ids.has(id));
}

type RunReading = { readonly isComplete: boolean; readonly object?: WorkflowRun };

// The run list already described the newest attempt; an earlier one is over once there is a later one, but its own object
// (conclusion, times, who triggered it) is nowhere else.
async function readRun({ fetcher: { github }, repository, attempt, signal, shownOpen }: Check): Promise<RunReading | undefined> {
  const isNewest = attempt.run_attempt === attempt.newest_attempt;
  // What was just listed as going on is not complete, whatever its jobs are.
  const isShownOpen = shownOpen !== undefined && attempt.run_created_at >= shownOpen.from;
  if (isNewest && attempt.status !== "completed" && isShownOpen) return { isComplete: false };
  const request = { repository: repository.full_name, runId: attempt.run_id, signal };
  if (!isNewest) {
    const answer = await unlessNotFound(getRunAttempt(github, { ...request, runAttempt: attempt.run_attempt }));
    return answer === undefined ? { isComplete: true } : { isComplete: true, object: answer.data };
  }
  if (attempt.status === "completed") return { isComplete: true };
  const answer = await unlessNotFound(getRun(github, request));
  if (answer === undefined) return undefined;
  const { data } = answer;
  const isSameAttempt = (data.run_attempt ?? 1) === attempt.run_attempt;
  return { isComplete: data.status === "completed" || !isSameAttempt, ...(isSameAttempt ? { object: data } : {}) };
}

// By GitHub's clock, in milliseconds. A run's last change is its completion or comes after it.
function completionOf(
  { run_updated_at }: LedgerAttempt,
  { object }: RunReading,
  jobs: readonly { readonly completed_at?: string | null | undefined }[],
): number | undefined {
  const updatedMs = Date.parse(object?.updated_at ?? "") || run_updated_at?.getTime();
  if (updatedMs !== undefined) return updatedMs;
  const endsMs = jobs.map(({ completed_at }) => Date.parse(completed_at ?? "")).filter((ms) => !Number.isNaN(ms));
  return endsMs.length === 0 ? undefined : Math.max(...endsMs);
}

function stillOpen(attempt: LedgerAttempt, { object }: RunReading, now: Date): CheckOutcome {
  // A run that is started again a month later has its own 35 days from then.
  const startedMs =
    Date.parse(object?.run_started_at ?? "") ||
    (attempt.run_attempt === 1 ? attempt.run_created_at : attempt.first_seen_at).getTime();
  if (object !== undefined && now.getTime() - startedMs > maxRunDays * dayMs) return { state: "never_completed" };
  const againInSeconds = Math.min(maxRecheckSeconds, minRecheckSeconds * 2 ** Math.min(attempt.visits, 10));
  return { state: "open", againInSeconds, reason: null, object };
}

/**
 * What a 404 means: GitHub answered it for every call about runs and jobs for a while on 2025-08-13 (veertuinc/anklet#58), so only
 * one that the run itself repeats for a day closes anything.
 * @throws PermanentError when the repository itself cannot be read.
 */
async function explainNotFound({ fetcher, repository, attempt, signal }: Check): Promise<CheckOutcome> {
  await checkRepositoryIsReadable(fetcher, repository, signal);
  const run = await unlessNotFound(getRun(fetcher.github, { repository: repository.full_name, runId: attempt.run_id, signal }));
  if (run === undefined) {
    if (hasAgreed(attempt, "run_not_found")) return { state: "gone" };
    return retryLater(attempt, "run_not_found", { detail: "GitHub answers 404 for the run; the repository can be read" });
  }
  const newest = run.data.run_attempt ?? 1;
  if (newest < attempt.run_attempt) {
    // A run object once claimed an attempt that neither the run nor its list knows.
    await retractAttempts(fetcher.db, attempt.run_id, newest);
    await recordRuns(fetcher.db, repository.repository_id, [run.data], { now: fetcher.github.now() });
  }
  return retryLater(attempt, "list_not_found", { detail: "GitHub answers 404 for its jobs; the run can be read" });
}

/** Lost access looks like deletion; a run is only gone when its repository can still be read. */
async function checkRepositoryIsReadable(
  { github }: Fetcher,
  { repository_id, full_name }: ListedRepository,
  signal: AbortSignal,
): Promise<void> {
  const { data } = await getRepository(github, { repository: full_name, signal });
  if (data.id !== repository_id)
    throw new PermanentError("github/not-found", `${full_name} is now another repository (id ${data.id}, was ${repository_id})`);
}
