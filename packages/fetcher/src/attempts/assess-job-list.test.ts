// Outcomes of a completed attempt's check, by its job list and earlier checks.

import { expect, test } from "vitest";

import { assessJobList, type CheckedAttempt, type Completion, type JobListReading, retryLater } from "./assess-job-list.ts";

const day = 24 * 60 * 60;
const fresh: CheckedAttempt = { check_reason: null, check_failures: 0, same_reason_checks: 0, same_reason_seconds: 0 };
const completed: Completion = { conclusion: "success", completedForSeconds: 600, settleSeconds: 120 };
const done = (id: number) => ({ id, status: "completed" });

function reading(change: Partial<JobListReading> = {}): JobListReading {
  return { jobs: [done(1), done(2)], unusable: [], promised: 2, isWhole: true, unlisted: [], ...change };
}

test("a complete list of completed jobs closes an attempt that completed long enough ago", () => {
  expect(assessJobList(fresh, reading(), completed)).toEqual({ state: "listed", jobs: 2, missingJobIds: [] });
});

test.each([
  ["has fewer jobs than its total_count", { isWhole: false, promised: 3 }, "incomplete"],
  ["lacks a known job", { unlisted: [7] }, "incomplete"],
  ["has an unusable object", { unusable: [{ problem: "id is null" }] }, "unusable"],
  ["is empty", { jobs: [], promised: 0 }, "empty"],
  ["has a job in progress", { jobs: [done(1), { id: 2, status: "in_progress" }] }, "lagging"],
  ["has a job without a status", { jobs: [done(1), { id: 2, status: null }] }, "lagging"],
] as const)("a list that %s leaves the attempt open", (_what, change, reason) => {
  expect(assessJobList(fresh, reading(change), completed)).toMatchObject({ state: "open", reason, againInSeconds: 5 });
});

test.each([
  [{ completedForSeconds: 30 }, fresh, 90],
  [{ completedForSeconds: -1 }, fresh, 120],
  [{ completedForSeconds: undefined }, fresh, 120],
  [{ completedForSeconds: undefined }, { ...fresh, check_reason: "settling" as const, same_reason_seconds: 100 }, 20],
] as const)("a list that came too soon after the completion (%o) is read again", (change, attempt, againInSeconds) => {
  const outcome = assessJobList(attempt, reading(), { ...completed, ...change });
  expect(outcome).toMatchObject({ state: "open", reason: "settling", againInSeconds });
});

test("without a settle time, a completion rounded into the future causes no wait", () => {
  const outcome = assessJobList(fresh, reading(), { ...completed, completedForSeconds: -1, settleSeconds: 0 });
  expect(outcome.state).toBe("listed");
});

test.each(["action_required", "startup_failure"])("that a run of conclusion %s has no jobs is accepted at once", (conclusion) => {
  const outcome = assessJobList(fresh, reading({ jobs: [], promised: 0 }), { ...completed, conclusion });
  expect(outcome).toMatchObject({ state: "listed", jobs: 0 });
});

test.each([
  ["four times over a day", { same_reason_checks: 3, same_reason_seconds: day }, "listed"],
  ["three times over a day", { same_reason_checks: 2, same_reason_seconds: day }, "open"],
  ["often within a day", { same_reason_checks: 20, same_reason_seconds: day - 1 }, "open"],
  ["after other reasons", { check_reason: "incomplete" as const, same_reason_checks: 20, same_reason_seconds: day }, "open"],
] as const)("an empty list that comes %s gives the expected state", (_what, change, state) => {
  const attempt = { ...fresh, check_reason: "empty" as const, ...change };
  expect(assessJobList(attempt, reading({ jobs: [], promised: 0 }), completed).state).toBe(state);
});

test("a job that never completes is missing by its id after 20 checks over a day", () => {
  const lagging = reading({ jobs: [done(1), { id: 2, status: "queued" }] });
  const attempt = { ...fresh, check_reason: "lagging" as const, same_reason_checks: 19, same_reason_seconds: day };
  expect(assessJobList(attempt, lagging, completed)).toEqual({ state: "listed", jobs: 2, missingJobIds: [2] });
  expect(assessJobList({ ...attempt, same_reason_checks: 18 }, lagging, completed).state).toBe("open");
});

test.each([
  ["incomplete", [5, 10, 20, 5_120, 21_600]],
  ["run_not_found", [5, 600, 1_200, 21_600, 21_600]],
] as const)("failed checks that end with %s have doubling delays of at most six hours", (reason, expected) => {
  const seconds = [0, 1, 2, 10, 2_000].map((check_failures) => retryLater({ ...fresh, check_failures }, reason).againInSeconds);
  expect(seconds).toEqual(expected);
});
