// What is visible of a job, an attempt and a run at a time. Status and conclusion follow from the plan and the clock.

import type { Attempt, Conclusion, Job, Run } from "./model.ts";

export type Status = "queued" | "in_progress" | "completed";

export function jobStatus(job: Job, nowMs: number): Status {
  if (job.completedAtMs !== null && job.completedAtMs <= nowMs) return "completed";
  if (job.startedAtMs !== null && job.startedAtMs <= nowMs && job.runner !== null) return "in_progress";
  return "queued";
}

/** @returns when the API shows the job as completed; Infinity for never. Later than `completedAtMs` only for a job with a lag. */
export function shownCompletedAtMs(job: Job): number {
  if (job.lag === undefined) return job.completedAtMs ?? Infinity;
  const attempt = job.run.attempts.find((each) => each.number === job.attempt);
  const ends = [job, ...(attempt?.jobs ?? [])].map((each) => each.completedAtMs ?? Infinity);
  return Math.max(...ends) + job.lag.ms;
}

/** @returns the time as of which the API shows the job at `nowMs`: for a lagging job the last time before its end. */
export function shownAtMs(job: Job, nowMs: number): number {
  if (job.lag === undefined || job.completedAtMs === null || nowMs >= shownCompletedAtMs(job)) return nowMs;
  return Math.min(job.completedAtMs - 1, nowMs);
}

export function attemptStatus(run: Run, attempt: Attempt, nowMs: number): { status: Status; conclusion: Conclusion | null } {
  if (attempt.jobs.length === 0) return { status: "completed", conclusion: run.emptyConclusion ?? "success" };
  const statuses = attempt.jobs.map((job) => jobStatus(job, nowMs));
  if (statuses.every((status) => status === "completed")) return { status: "completed", conclusion: conclusionOf(attempt.jobs) };
  const status = statuses.every((each) => each === "queued") ? "queued" : "in_progress";
  return { status, conclusion: null };
}

/** @returns whether an attempt exists by `nowMs`, of a run that is not deleted. Cheap: a list calls it for every run of a repository. */
export function isVisible(run: Run, nowMs: number): boolean {
  return !run.deleted && (run.attempts[0]?.createdAtMs ?? Infinity) <= nowMs;
}

/** @returns the latest attempt that exists at `nowMs`; undefined before the run was created or after it was deleted. */
export function currentAttempt(run: Run, nowMs: number): Attempt | undefined {
  if (run.deleted) return undefined;
  return run.attempts.findLast((attempt) => attempt.createdAtMs <= nowMs);
}

/** @returns when the attempt last changed: at its last job's end, or at the latest event until now. */
export function attemptUpdatedAtMs(attempt: Attempt, nowMs: number): number {
  const moments = attempt.jobs.flatMap((job) => [job.createdAtMs, job.startedAtMs, job.completedAtMs]);
  const past = moments.filter((moment): moment is number => moment !== null && moment <= nowMs);
  return Math.max(attempt.createdAtMs, ...past);
}

function conclusionOf(jobs: readonly Job[]): Conclusion {
  const worst: readonly Conclusion[] = ["failure", "timed_out", "cancelled", "success", "neutral", "skipped"];
  return worst.find((conclusion) => jobs.some((job) => job.conclusion === conclusion)) ?? "success";
}
