// Estimates how long a backfill takes under GitHub's rate limit, and which runs' logs expire before it reaches them. Pure.

import { dayMs } from "@actions-archive/core/durations";

import type { RunEstimate } from "./estimate-runs.ts";

export type PlannedRepository = {
  readonly full_name: string;
  /** The credential whose budget is used. */
  readonly credential: string;
  readonly logRetentionDays: number;
  readonly estimate: RunEstimate;
};

export type RepositoryPlan = {
  readonly repository: string;
  readonly runs: number;
  readonly runs_at_least: boolean;
  readonly jobs: number;
  /** Requests that count against the limit: lists of runs and jobs, and one per log. */
  readonly api_calls: number;
};

export type BackfillPlan = {
  readonly repositories: readonly RepositoryPlan[];
  readonly runs: number;
  readonly jobs: number;
  readonly api_calls: number;
  /** Of the slowest credential; null where no limit is known. */
  readonly hours: number | null;
  /** Runs older than the log retention: their jobs are recorded, their logs are most likely gone. */
  readonly runs_expired: number;
  /** Runs whose logs will expire before the backfill reaches them; 0 where no limit is known. */
  readonly runs_expiring: number;
};

/** A page holds 100 runs, and the runs of its oldest second are requested twice. */
const runsPerListCall = 90;
const jobsPerPage = 100;

/** @param callsPerHour the requests per hour that a credential may use for the backfill; null: no limit is known. */
export function planBackfill(
  repositories: readonly PlannedRepository[],
  { now, callsPerHour }: { readonly now: Date; readonly callsPerHour: (credential: string) => number | null },
): BackfillPlan {
  const plans = repositories.map(planRepository);
  const sum = (key: "runs" | "jobs" | "api_calls") => plans.reduce((total, plan) => total + plan[key], 0);
  const credentials = [...Map.groupBy(repositories, ({ credential }) => credential)].map(([credential, own]) => {
    const perHour = callsPerHour(credential);
    const calls = own.reduce((total, repository) => total + planRepository(repository).api_calls, 0);
    const hours = perHour === null ? null : calls / Math.max(1, perHour);
    return { hours, ...forecastExpiry(own, { now, hours }) };
  });
  const hours = credentials.map((credential) => credential.hours).filter((each) => each !== null);
  return {
    repositories: plans,
    runs: sum("runs"),
    jobs: sum("jobs"),
    api_calls: sum("api_calls"),
    hours: hours.length === 0 ? null : Math.round(Math.max(...hours) * 100) / 100,
    runs_expired: credentials.reduce((total, { expired }) => total + expired, 0),
    runs_expiring: credentials.reduce((total, { expiring }) => total + expiring, 0),
  };
}

function planRepository({ full_name, estimate }: PlannedRepository): RepositoryPlan {
  const { runs, isAtLeast, attemptsPerRun, jobsPerAttempt } = estimate;
  const attempts = runs * attemptsPerRun;
  const jobs = Math.round(attempts * jobsPerAttempt);
  const pages = Math.max(1, Math.ceil(jobsPerAttempt / jobsPerPage));
  // An attempt that is not the newest costs one more request, since the run list has only the newest.
  const calls = Math.ceil(runs / runsPerListCall) + 1 + attempts * pages + (attempts - runs) + jobs;
  return { repository: full_name, runs, runs_at_least: isAtLeast, jobs, api_calls: Math.round(calls) };
}

type Bin = { readonly expiresAt: number; readonly runs: number };

// Assumes that the runs of a part are spread evenly, and that the earliest expiry is archived first at an even pace.
function forecastExpiry(
  repositories: readonly PlannedRepository[],
  { now, hours }: { readonly now: Date; readonly hours: number | null },
): { readonly expired: number; readonly expiring: number } {
  const bins = repositories.flatMap(binsOf);
  const total = bins.reduce((sum, { runs }) => sum + runs, 0);
  const alive = bins.filter(({ expiresAt }) => expiresAt > now.getTime()).toSorted((a, b) => a.expiresAt - b.expiresAt);
  const aliveRuns = alive.reduce((sum, { runs }) => sum + runs, 0);
  let [reached, expiring] = [0, 0];
  for (const { expiresAt, runs } of hours === null ? [] : alive) {
    reached += runs;
    // Expired runs come last and delay none of these.
    const reachedAt = now.getTime() + ((hours ?? 0) * 3_600_000 * reached) / Math.max(1, total);
    if (expiresAt < reachedAt) expiring += runs;
  }
  return { expired: Math.round(total - aliveRuns), expiring: Math.round(expiring) };
}

function binsOf({ estimate, logRetentionDays }: PlannedRepository): Bin[] {
  return estimate.parts.flatMap(({ start, end, runs }) => {
    const days = Math.max(1, Math.ceil((end.getTime() - start.getTime()) / dayMs));
    return Array.from({ length: days }, (_, day) => ({
      expiresAt: start.getTime() + ((day + 0.5) / days) * (end.getTime() - start.getTime()) + logRetentionDays * dayMs,
      runs: runs / days,
    }));
  });
}
