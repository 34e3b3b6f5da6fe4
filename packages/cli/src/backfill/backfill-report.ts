// A backfill and its progress, as a document and as text.

import {
  type BackfillSummary,
  findBackfill,
  listRepositoryProgress,
  type RepositoryProgress,
} from "@actions-archive/database/backfill/backfill-progress";
import { type CredentialState, listCredentials } from "@actions-archive/database/budget/credentials";
import type { Database } from "@actions-archive/database/connection/open-database";
import type { BackfillPlan } from "@actions-archive/fetcher/backfill/plan-backfill";

import { countText } from "../count-text.ts";
import { formatTable } from "../format-table.ts";
import { pauseText } from "../pause-text.ts";

export type BackfillReport = {
  readonly backfill: BackfillSummary;
  readonly progress: BackfillProgress;
  readonly repositories: readonly RepositoryProgress[];
  /** The current budgets of the credentials in use. */
  readonly credentials: readonly CredentialState[];
};

export type BackfillProgress = {
  readonly listed_percent: number;
  readonly runs: number;
  readonly jobs: number;
  /** Archived, absent or failed. */
  readonly settled: number;
  /** Estimated from GitHub's counts and the jobs found so far; at least `jobs`. */
  readonly expected_jobs: number;
  /** Average since the backfill was created. */
  readonly logs_per_hour: number;
  /** At that rate; null while there is none, 0 once the backfill has ended. */
  readonly hours_left: number | null;
};

/** @returns undefined when there is no backfill of this id. */
export async function readBackfill(db: Database, backfillId: number): Promise<BackfillReport | undefined> {
  const backfill = await findBackfill(db, backfillId);
  if (backfill === undefined) return undefined;
  const repositories = await listRepositoryProgress(db, backfillId);
  return {
    backfill,
    progress: progressOf(backfill, repositories, new Date()),
    repositories,
    credentials: await listCredentials(db),
  };
}

export function progressOf(
  { created_at, ended_at }: Pick<BackfillSummary, "created_at" | "ended_at">,
  repositories: readonly RepositoryProgress[],
  now: Date,
): BackfillProgress {
  const sum = (key: "runs" | "jobs" | "archived" | "absent" | "failed" | "listed_percent") =>
    repositories.reduce((total, repository) => total + repository[key], 0);
  const settled = sum("archived") + sum("absent") + sum("failed");
  const jobs = sum("jobs");
  const expected = Math.max(jobs, Math.round(repositories.reduce((total, repository) => total + expectedJobs(repository), 0)));
  const hours = ((ended_at ?? now).getTime() - created_at.getTime()) / 3_600_000;
  const perHour = hours > 0 ? Math.round(settled / hours) : 0;
  return {
    listed_percent: repositories.length === 0 ? 100 : Math.floor(sum("listed_percent") / repositories.length),
    runs: sum("runs"),
    jobs,
    settled,
    expected_jobs: expected,
    logs_per_hour: perHour,
    hours_left: ended_at !== null ? 0 : perHour === 0 ? null : Math.round(((expected - settled) / perHour) * 1000) / 1000,
  };
}

// Extrapolates from the runs whose jobs are known.
function expectedJobs({ done, runs, jobs, attempts_open, estimated_runs, listed_percent }: RepositoryProgress): number {
  const checked = runs - attempts_open;
  if (done || checked <= 0) return jobs;
  const expectedRuns = listed_percent === 100 ? runs : Math.max(runs, estimated_runs ?? 0);
  return (jobs / checked) * expectedRuns;
}

export function formatBackfill({ backfill, progress, repositories, credentials }: BackfillReport): string {
  const { backfill_id, state, asked_for, since, until } = backfill;
  const problems = repositories.flatMap(({ repository, problem }) => (problem === null ? [] : [{ repository, problem }]));
  const lines = [
    `Backfill ${backfill_id} is ${state}: ${asked_for.join(" ")}, runs created from ${time(since)} to ${time(until)}`,
    `${progress.settled} of about ${countText(progress.expected_jobs, "log")} done, ${progress.listed_percent} % listed, ${progress.logs_per_hour} logs an hour${leftText(
      progress,
    )
      .map((text) => `, ${text}`)
      .join("")}`,
    ...credentials.flatMap(budgetText),
    "",
    formatTable(
      repositories.map(({ repository, done, listed_percent, problem: _problem, estimated_runs: _estimate, ...counts }) => ({
        repository,
        done: done ? "yes" : "no",
        "listed %": listed_percent,
        ...counts,
      })),
    ),
  ];
  if (problems.length > 0) lines.push("", "Retried automatically:", formatTable(problems));
  return lines.join("\n");
}

export function leftText({ hours_left }: BackfillProgress): string[] {
  if (hours_left === 0) return [];
  return [hours_left === null ? "time left unknown" : `about ${hoursText(hours_left)} left`];
}

export function hoursText(hours: number): string {
  if (hours >= 48) return `${Math.round(hours / 24)} days`;
  if (hours >= 1) return `${hours.toFixed(1)} hours`;
  return hours >= 1 / 60 ? `${Math.ceil(hours * 60)} min` : `${Math.ceil(hours * 3600)} s`;
}

export function budgetText({ credential, limit, used, paused_until, pause_reason }: CredentialState): string[] {
  if (paused_until !== null) return [`${credential}: ${pauseText({ paused_until, pause_reason })}`];
  return limit === null || used === null ? [] : [`${credential}: ${used} of ${limit} requests used`];
}

/** The forecast that a dry run prints, and that is printed before a backfill is created. */
export function formatPlan(plan: BackfillPlan, { since, until }: { readonly since: Date; readonly until: Date }): string {
  const { repositories, hours, runs_expired, runs_expiring } = plan;
  const lines = [
    `Runs created from ${time(since)} to ${time(until)}, by GitHub's count:`,
    "",
    formatTable(
      repositories.map(({ repository, runs, runs_at_least, jobs, api_calls }) => ({
        repository,
        runs: runs_at_least ? `${runs} or more` : runs,
        jobs,
        "API calls": api_calls,
      })),
    ),
    "",
    `About ${countText(plan.jobs, "job")} and ${countText(plan.api_calls, "API call")}: ${hours === null ? "no limit is known, so the time is unknown" : `${hoursText(hours)} under the limit`}.`,
  ];
  if (runs_expired > 0)
    lines.push(
      `${countText(runs_expired, "run is", "runs are")} older than GitHub keeps logs: the jobs are recorded, the logs are most likely gone.`,
    );
  if (runs_expiring > 0)
    lines.push(
      `The logs of ${countText(runs_expiring, "run")} will expire before they are reached. Use a later --since, an App with a higher limit, or a smaller GITHUB_RESERVE_PERCENT.`,
    );
  return lines.join("\n");
}

function time(date: Date): string {
  return date.toISOString().replace(/\.\d{3}Z$/, "Z");
}
