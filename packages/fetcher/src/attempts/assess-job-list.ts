// Whether the job list of a completed attempt can be believed. Pure. An attempt is closed by a list that shows all jobs that GitHub
// promised, all of them completed, read some minutes after the attempt completed; anything else is read again.

import type { CheckOutcome, CheckReason, LedgerAttempt } from "@actions-archive/database/ledger/attempts";

const firstRetrySeconds = 5;
/** One wrong answer heals at the first retry; what only a day decides is worth no other within minutes. */
const slowRetrySeconds = 10 * 60;
const slowReasons: ReadonlySet<CheckReason> = new Set(["empty", "run_not_found"]);
const maxRetrySeconds = 6 * 60 * 60;

/** What no answer of a single day decides: that an attempt has no jobs, that a job never completes, that a run was deleted. */
const doubtSeconds = 24 * 60 * 60;
/** The second check comes after seconds, so that three of these are far apart. */
const minAgreeingChecks = 4;
/** A job can complete after its run (https://github.com/actions/runner/issues/4035); after so many checks in a row it is a gap. */
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
  /** GitHub's ETag of the list, with which it can be listed again. */
  readonly etag?: string | undefined;
  /** Jobs of the attempt that were seen before and are not in the list. */
  readonly unlisted: readonly number[];
};

export type Completion = {
  readonly conclusion: string | null;
  /** For how long the attempt has been complete, by GitHub's clock; undefined when it does not say. */
  readonly completedForSeconds: number | undefined;
  /** For how long after the completion the list may still miss a job. */
  readonly settleSeconds: number;
  /** The attempt as GitHub shows it, where it was asked for. */
  readonly object?: unknown;
};

/** What becomes of a completed attempt after its jobs were listed. */
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
  if (odd !== undefined) return later("unusable", `${unusable.length} of its jobs cannot be used: ${odd.problem}`);
  if (!isWhole) return later("incomplete", `GitHub promised ${promised} jobs and showed ${jobs.length}`);
  if (unlisted.length > 0)
    return later(
      "incomplete",
      `${unlisted.length} jobs that were seen before are not in its list: ${unlisted.slice(0, 3).join(", ")}`,
    );
  if (jobs.length === 0 && !conclusionsWithoutJobs.has(completion.conclusion) && !hasAgreed(attempt, "empty", minAgreeingChecks))
    return later("empty", "it completed, and GitHub shows no job of it");
  const lagging = jobs.filter(({ status }) => status !== "completed").map(({ id }) => id);
  if (lagging.length > 0) {
    if (hasAgreed(attempt, "lagging", minLaggingChecks)) return listed(lagging);
    return later(
      "lagging",
      `it completed, and ${lagging.length} of its ${jobs.length} jobs have not: ${lagging.slice(0, 3).join(", ")}`,
    );
  }
  const settleSeconds = secondsToSettle(attempt, completion);
  if (settleSeconds === 0) return listed([]);
  return { state: "open", againInSeconds: settleSeconds, reason: "settling", object: completion.object };
}

/** A check that ended with a doubt: repeated sooner at first, then every few hours. */
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

/** Whether this check and the ones before it, in a row and over a day at least, say the same. */
export function hasAgreed(
  { check_reason, same_reason_checks, same_reason_seconds }: CheckedAttempt,
  reason: CheckReason,
  minChecks = minAgreeingChecks,
): boolean {
  return check_reason === reason && same_reason_checks + 1 >= minChecks && same_reason_seconds >= doubtSeconds;
}

// Where nothing says when it completed, the list is read twice, so far apart.
function secondsToSettle(attempt: CheckedAttempt, { completedForSeconds, settleSeconds }: Completion): number {
  // GitHub's times are rounded to seconds: a completion can lie in the future by one.
  if (completedForSeconds !== undefined) return Math.max(0, Math.ceil(settleSeconds - Math.max(0, completedForSeconds)));
  const waited = attempt.check_reason === "settling" ? attempt.same_reason_seconds : 0;
  return Math.max(0, Math.ceil(settleSeconds - waited));
}
