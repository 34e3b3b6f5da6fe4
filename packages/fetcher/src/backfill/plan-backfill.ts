// What a backfill would cost under GitHub's limit, and which runs it would come too late for. Pure.

import { dayMs } from "@actions-archive/core/durations";

import type { RunEstimate } from "./estimate-runs.ts";

export type PlannedRepository = {
  readonly full_name: string;
  /** Whose budget pays. */
  readonly credential: string;
  readonly logRetentionDays: number;
  readonly estimate: RunEstimate;
};

export type RepositoryPlan = {
  readonly repository: string;
  readonly runs: number;
  readonly runs_at_least: boolean;
  readonly jobs: number;
  /** Requests that count: lists of runs and of jobs, and one for each log. */
  readonly api_calls: number;
};

export type BackfillPlan = {
  readonly repositories: readonly RepositoryPlan[];
  readonly runs: number;
  readonly jobs: number;
  readonly api_calls: number;
  /** Of the slowest credential; null where no limit is known. */
  readonly hours: number | null;
  /** Runs that are older than GitHub keeps logs: their jobs are recorded, their logs are most likely gone. */
  readonly runs_expired: number;
  /** Runs whose logs will expire before they are reached; 0 where no limit is known. */
  readonly runs_expiring: number;
};

/** A page holds 100 runs, and the last second of each is asked for twice. */
const runsPerListCall = 90;
const jobsPerPage = 100;

/** @param callsPerHour what a credential may send for this; null: no limit is known. */
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
  // An attempt that is not a run's newest is asked for, too: the list of runs shows the newest alone.
  const calls = Math.ceil(runs / runsPerListCall) + 1 + attempts * pages + (attempts - runs) + jobs;
  return { repository: full_name, runs, runs_at_least: isAtLeast, jobs, api_calls: Math.round(calls) };
}

type Bin = { readonly expiresAt: number; readonly runs: number };

// Runs of a part are taken as spread evenly; what expires first is done first, at an even pace.
function forecastExpiry(
  repositories: readonly PlannedRepository[],
  { now, hours }: { readonly now: Date; readonly hours: number | null },
): { readonly expired: number; readonly expiring: number } {
  const bins = repositories.flatMap(binsOf);
  const total = bins.reduce((sum, { runs }) => sum + runs, 0);
  const alive = bins.filter(({ expiresAt }) => expiresAt > now.getTime()).toSorted((a, b) => a.expiresAt - b.expiresAt);
  const living = alive.reduce((sum, { runs }) => sum + runs, 0);
  let [reached, expiring] = [0, 0];
  for (const { expiresAt, runs } of hours === null ? [] : alive) {
    reached += runs;
    // What has expired already comes last, and delays none of these.
    const reachedAt = now.getTime() + ((hours ?? 0) * 3_600_000 * reached) / Math.max(1, total);
    if (expiresAt < reachedAt) expiring += runs;
  }
  return { expired: Math.round(total - living), expiring: Math.round(expiring) };
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
