// Checks one open attempt: whether it is complete, and which jobs it has. Completed jobs are recorded at once, even while the run
// continues. No single answer closes an attempt: unless the outcome is proven, it stays open and is checked again.

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

/** The interval between checks of an attempt in progress doubles between these limits. */
const minRecheckSeconds = 60;
const maxRecheckSeconds = 60 * 60;

/** The runs that a list has just shown: all runs created at or after `from`. */
export type ShownOpenRun = { readonly from: Date };

export type CheckOptions = {
  readonly signal: AbortSignal;
  /** Avoids a request for a run that the list has just shown in progress. */
  readonly shownOpen?: ShownOpenRun | undefined;
};

/**
 * Checks an open attempt and records the outcome. Idempotent.
 * @returns the error when GitHub refused a request about this attempt only; the attempt stays open and is checked again later.
 * @throws the client's other errors: a rate limit, a refused credential, and the 404 of the repository itself.
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

/** Whether the error concerns one run only and allows no conclusion about other runs of the repository. */
export function isFromOneAttempt(error: unknown): error is ActionsArchiveError {
  if (error instanceof TransientError) return error.code === "github/unavailable" || error.code === "github/unexpected-answer";
  return error instanceof PermanentError && (error.code === "github/forbidden" || error.code === "github/gone");
}

type Check = CheckOptions & {
  readonly fetcher: Fetcher;
  readonly repository: ListedRepository;
  readonly attempt: LedgerAttempt;
};

/** @returns undefined when GitHub answered 404 for the run or for its job list. */
async function readAttempt(check: Check): Promise<CheckOutcome | undefined> {
  const { fetcher, repository, attempt, signal } = check;
  // The run is read before its jobs: only a listing that began after the completion is final.
  const run = await readRun(check);
  if (run === undefined) return undefined;
  // A rebuilt ledger may have only the id of a run, and an old run appears in no list any more.
  if (attempt.status === null && attempt.run_attempt === attempt.newest_attempt && run.object !== undefined)
    await recordRuns(fetcher.db, repository.repository_id, [run.object], { now: fetcher.github.now() });
  const began = fetcher.github.now();
  const request = { repository: repository.full_name, runId: attempt.run_id, runAttempt: attempt.run_attempt, signal };
  const list = await listAttemptJobs(fetcher.github, request);
  if (list === undefined) return undefined;
  await replaceUnusableJobs(fetcher.db, { ...repository, ...attempt }, list.unusable);
  await recordListedJobs(check, list);
  if (!run.isComplete) return stayOpen(attempt, run, began);
  const completedAt = completedAtOf(attempt, run, list.jobs);
  // An incomplete list can have a matching total_count. Jobs known from an earlier list or a webhook reveal it.
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
  const detail = `two consecutive job lists differ: the first has ${list.jobs.length} jobs`;
  return retryLater(attempt, "incomplete", { detail, object: run.object });
}

async function recordListedJobs({ fetcher, repository, attempt }: Check, { jobs }: AttemptJobs): Promise<void> {
  const snapshots = jobs.map((object) => ({ object, source: "listing" as const, listedAttempt: attempt.run_attempt }));
  const added = await recordJobs(fetcher.db, repository.repository_id, snapshots);
  fetcher.metrics?.jobsDiscovered.inc({ source: "listing" }, added);
}

// An incomplete list with a matching total_count is detected only by a second list. While the ETag is valid, the second request
// does not count against GitHub's limit. A job object in the second list may have more fields than in the first.
async function isConfirmed(check: Check, request: AttemptRequest, list: AttemptJobs): Promise<boolean> {
  const second = await relistAttemptJobs(check.fetcher.github, request, list.etag);
  if (second === undefined || second === "unchanged") return second === "unchanged";
  await recordListedJobs(check, second);
  const ids = new Set(list.jobs.map(({ id }) => id));
  return second.isWhole && second.jobs.length === ids.size && second.jobs.every(({ id }) => ids.has(id));
}

type RunReading = { readonly isComplete: boolean; readonly object?: WorkflowRun };

// The run list already has the newest attempt. An earlier attempt is over once a later one exists, but only its own object has
// its conclusion, times and triggering actor.
async function readRun({ fetcher: { github }, repository, attempt, signal, shownOpen }: Check): Promise<RunReading | undefined> {
  const isNewest = attempt.run_attempt === attempt.newest_attempt;
  // A run that was just listed as in progress is not complete, whatever the state of its jobs.
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

// Milliseconds by GitHub's clock. A run's updated_at is its completion or later.
function completedAtOf(
  { run_updated_at }: LedgerAttempt,
  { object }: RunReading,
  jobs: readonly { readonly completed_at?: string | null | undefined }[],
): number | undefined {
  const updatedMs = Date.parse(object?.updated_at ?? "") || run_updated_at?.getTime();
  if (updatedMs !== undefined) return updatedMs;
  const endsMs = jobs.map(({ completed_at }) => Date.parse(completed_at ?? "")).filter((ms) => !Number.isNaN(ms));
  return endsMs.length === 0 ? undefined : Math.max(...endsMs);
}

function stayOpen(attempt: LedgerAttempt, { object }: RunReading, now: Date): CheckOutcome {
  // A re-run a month later has its own 35 days from its start.
  const startedMs =
    Date.parse(object?.run_started_at ?? "") ||
    (attempt.run_attempt === 1 ? attempt.run_created_at : attempt.first_seen_at).getTime();
  if (object !== undefined && now.getTime() - startedMs > maxRunDays * dayMs) return { state: "never_completed" };
  const againInSeconds = Math.min(maxRecheckSeconds, minRecheckSeconds * 2 ** Math.min(attempt.checks, 10));
  return { state: "open", againInSeconds, reason: null, object };
}

/**
 * Explains a 404. On 2025-08-13 GitHub answered 404 to every request about runs and jobs for a while (veertuinc/anklet#58), so
 * the attempt is closed only when the run itself answers 404 for a day.
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
    // An earlier run object claimed an attempt that neither the run nor its job list has.
    await retractAttempts(fetcher.db, attempt.run_id, newest);
    await recordRuns(fetcher.db, repository.repository_id, [run.data], { now: fetcher.github.now() });
  }
  return retryLater(attempt, "list_not_found", { detail: "GitHub answers 404 for the job list; the run can be read" });
}

/** Lost access is indistinguishable from deletion, so a run counts as gone only while its repository is readable. */
async function checkRepositoryIsReadable(
  { github }: Fetcher,
  { repository_id, full_name }: ListedRepository,
  signal: AbortSignal,
): Promise<void> {
  const { data } = await getRepository(github, { repository: full_name, signal });
  if (data.id !== repository_id)
    throw new PermanentError("github/not-found", `${full_name} is now another repository (id ${data.id}, was ${repository_id})`);
}
