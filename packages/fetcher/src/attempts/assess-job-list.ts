// Assesses whether the job list of a completed attempt is final. Pure. A list is final when it has every job that GitHub's
// total_count promises, all of them completed, and was read some minutes after the attempt completed. Any other list is read
// again.

import type { CheckOutcome, CheckReason, LedgerAttempt } from "@actions-archive/database/ledger/attempts";

const firstRetrySeconds = 5;
/**
 * The first retry corrects a single wrong answer. These reasons need agreement over a day, so further retries within minutes add
 * nothing.
 */
const slowRetrySeconds = 10 * 60;
const slowReasons: ReadonlySet<CheckReason> = new Set(["empty", "run_not_found"]);
const maxRetrySeconds = 6 * 60 * 60;

/**
 * An attempt without jobs, a job that never completes and a deleted run are each accepted only after a day of agreeing checks.
 */
const doubtSeconds = 24 * 60 * 60;
/** The second check follows after seconds, so three of the four are far apart. */
const minAgreeingChecks = 4;
/**
 * A job can complete after its run (https://github.com/actions/runner/issues/4035). After this many agreeing checks it becomes a
 * gap.
 */
const minLaggingChecks = 20;

/** GitHub ends a run with these before it makes a job. https://docs.github.com/rest/actions/workflow-runs */
const conclusionsWithoutJobs: ReadonlySet<string | null> = new Set(["action_required", "startup_failure"]);

export type CheckedAttempt = Pick<
  LedgerAttempt,
  "check_reason" | "check_failures" | "same_reason_checks" | "same_reason_seconds"
>;

export type JobListReading = {
  /** Distinct jobs of the attempt. */
  readonly jobs: readonly { readonly id: number; readonly status?: string | null | undefined }[];
  readonly unusable: readonly { readonly problem: string }[];
  /** GitHub's `total_count`; undefined where it gave none. */
  readonly promised: number | undefined;
  readonly isWhole: boolean;
  /** GitHub's ETag of the list, for a conditional request. */
  readonly etag?: string | undefined;
  /** Jobs of the attempt that the ledger knows and the list lacks. */
  readonly unlisted: readonly number[];
};

export type Completion = {
  readonly conclusion: string | null;
  /** Seconds since the attempt completed, by GitHub's clock; undefined when GitHub gives no completion time. */
  readonly completedForSeconds: number | undefined;
  /** How long after the completion the list may still lack a job. */
  readonly settleSeconds: number;
  /** The attempt's object, where it was requested. */
  readonly object?: unknown;
};

/**
 * @returns the outcome of a completed attempt's check: `listed` when the job list is final, otherwise `open` with the reason and
 * the delay until the next check.
 */
export function assessJobList(attempt: CheckedAttempt, list: JobListReading, completion: Completion): CheckOutcome {
  const { jobs, unusable, promised, isWhole, etag, unlisted } = list;
  const later = (reason: CheckReason, detail?: string) => retryLater(attempt, reason, { detail, object: completion.object });
  const listed = (missingJobIds: readonly number[]): CheckOutcome => ({
    state: "listed",
    jobs: jobs.length,
    missingJobIds,
    etag,
    object: completion.object,
  });
  const [odd] = unusable;
  if (odd !== undefined) return later("unusable", `${unusable.length} job objects are unusable: ${odd.problem}`);
  if (!isWhole) return later("incomplete", `GitHub counts ${promised} jobs and lists ${jobs.length}`);
  if (unlisted.length > 0)
    return later("incomplete", `the list lacks ${unlisted.length} known jobs: ${unlisted.slice(0, 3).join(", ")}`);
  if (jobs.length === 0 && !conclusionsWithoutJobs.has(completion.conclusion) && !hasAgreed(attempt, "empty", minAgreeingChecks))
    return later("empty", "the attempt is completed, and GitHub lists no job");
  const lagging = jobs.filter(({ status }) => status !== "completed").map(({ id }) => id);
  if (lagging.length > 0) {
    if (hasAgreed(attempt, "lagging", minLaggingChecks)) return listed(lagging);
    return later(
      "lagging",
      `the attempt is completed, and ${lagging.length} of its ${jobs.length} jobs are not: ${lagging.slice(0, 3).join(", ")}`,
    );
  }
  const settleSeconds = secondsToSettle(attempt, completion);
  if (settleSeconds === 0) return listed([]);
  return { state: "open", againInSeconds: settleSeconds, reason: "settling", object: completion.object };
}

/** An outcome that keeps the attempt open. The delay doubles with each failed check, up to 6 hours. */
export function retryLater(
  { check_failures }: CheckedAttempt,
  reason: CheckReason,
  { detail, object }: { readonly detail?: string | undefined; readonly object?: unknown } = {},
): Extract<CheckOutcome, { state: "open" }> {
  const isSlow = slowReasons.has(reason) && check_failures > 0;
  const seconds = isSlow ? slowRetrySeconds * 2 ** (check_failures - 1) : firstRetrySeconds * 2 ** check_failures;
  const againInSeconds = Math.min(maxRetrySeconds, seconds);
  return { state: "open", againInSeconds, reason, detail, object };
}

/** Whether this check and at least `minChecks` - 1 preceding ones gave the same reason in a row, over at least a day. */
export function hasAgreed(
  { check_reason, same_reason_checks, same_reason_seconds }: CheckedAttempt,
  reason: CheckReason,
  minChecks = minAgreeingChecks,
): boolean {
  return check_reason === reason && same_reason_checks + 1 >= minChecks && same_reason_seconds >= doubtSeconds;
}

// Without a completion time, the list must be read twice, `settleSeconds` apart.
function secondsToSettle(attempt: CheckedAttempt, { completedForSeconds, settleSeconds }: Completion): number {
  // GitHub's times are rounded to seconds: a completion can lie in the future by one.
  if (completedForSeconds !== undefined) return Math.max(0, Math.ceil(settleSeconds - Math.max(0, completedForSeconds)));
  const waited = attempt.check_reason === "settling" ? attempt.same_reason_seconds : 0;
  return Math.max(0, Math.ceil(settleSeconds - waited));
}
