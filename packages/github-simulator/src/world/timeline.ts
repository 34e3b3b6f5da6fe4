// What is visible of a job, an attempt and a run at a moment: status and conclusion follow from the plan and the clock.

import type { Attempt, Conclusion, Job, Run } from "./model.ts";

export type Status = "queued" | "in_progress" | "completed";

export function jobStatus(job: Job, nowMs: number): Status {
  if (job.completedAtMs !== null && job.completedAtMs <= nowMs) return "completed";
  if (job.startedAtMs !== null && job.startedAtMs <= nowMs && job.runner !== null) return "in_progress";
  return "queued";
}

/** When the API shows the job as completed; Infinity for never. Later than `completedAtMs` only for a job with a lag. */
export function shownCompletedAtMs(job: Job): number {
  if (job.lag === undefined) return job.completedAtMs ?? Infinity;
  const attempt = job.run.attempts.find((each) => each.number === job.attempt);
  const ends = [job, ...(attempt?.jobs ?? [])].map((each) => each.completedAtMs ?? Infinity);
  return Math.max(...ends) + job.lag.ms;
}

/** The moment of the job's life that the API shows at `nowMs`: the last one before its end, for a job that lags. */
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

/** Whether there is an attempt by `nowMs`, of a run that was not deleted. Cheap: a list asks it of every run of a repository. */
export function isVisible(run: Run, nowMs: number): boolean {
  return !run.deleted && (run.attempts[0]?.createdAtMs ?? Infinity) <= nowMs;
}

/** The youngest attempt that exists at `nowMs`; undefined before the run was created or after it was deleted. */
export function currentAttempt(run: Run, nowMs: number): Attempt | undefined {
  if (run.deleted) return undefined;
  return run.attempts.findLast((attempt) => attempt.createdAtMs <= nowMs);
}

/** When the attempt was last touched: its last job's end, or the last thing that happened by now. */
export function attemptUpdatedAtMs(attempt: Attempt, nowMs: number): number {
  const moments = attempt.jobs.flatMap((job) => [job.createdAtMs, job.startedAtMs, job.completedAtMs]);
  const past = moments.filter((moment): moment is number => moment !== null && moment <= nowMs);
  return Math.max(attempt.createdAtMs, ...past);
}

function conclusionOf(jobs: readonly Job[]): Conclusion {
  const worst: readonly Conclusion[] = ["failure", "timed_out", "cancelled", "success", "neutral", "skipped"];
  return worst.find((conclusion) => jobs.some((job) => job.conclusion === conclusion)) ?? "success";
}
