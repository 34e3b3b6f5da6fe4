// What a backfill is and how far it has come: one document for programs, and the same in words for people.

import {
  type BackfillSummary,
  findBackfill,
  listRepositoryProgress,
  type RepositoryProgress,
} from "@actions-archive/database/backfill/backfill-progress";
import { type CredentialState, listCredentials } from "@actions-archive/database/budget/credentials";
import type { Database } from "@actions-archive/database/connection/open-database";
import type { BackfillPlan } from "@actions-archive/fetcher/backfill/plan-backfill";

import { formatTable } from "../format-table.ts";

export type BackfillReport = {
  readonly backfill: BackfillSummary;
  readonly progress: BackfillProgress;
  readonly repositories: readonly RepositoryProgress[];
  /** The budgets that pay, as they stand. */
  readonly credentials: readonly CredentialState[];
};

export type BackfillProgress = {
  readonly listed_percent: number;
  readonly runs: number;
  readonly jobs: number;
  /** Archived, absent or failed. */
  readonly settled: number;
  /** By what GitHub counted and what was found so far; never fewer than `jobs`. */
  readonly expected_jobs: number;
  /** Since the backfill was made. */
  readonly logs_per_hour: number;
  /** At that rate; null while there is none. */
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

// Runs that are listed and whose jobs are known tell how many jobs the others will have.
function expectedJobs({ done, runs, jobs, attempts_open, estimated_runs, listed_percent }: RepositoryProgress): number {
  const visited = runs - attempts_open;
  if (done || visited <= 0) return jobs;
  const expectedRuns = listed_percent === 100 ? runs : Math.max(runs, estimated_runs ?? 0);
  return (jobs / visited) * expectedRuns;
}

export function formatBackfill({ backfill, progress, repositories, credentials }: BackfillReport): string {
  const { backfill_id, state, asked_for, since, until } = backfill;
  const problems = repositories.flatMap(({ repository, problem }) => (problem === null ? [] : [{ repository, problem }]));
  const lines = [
    `Backfill ${backfill_id} is ${state}: ${asked_for.join(" ")}, runs created from ${time(since)} to ${time(until)}`,
    `${progress.settled} of about ${progress.expected_jobs} logs settled, ${progress.listed_percent} % listed, ${progress.logs_per_hour} logs an hour, ${leftText(progress)}`,
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
  if (problems.length > 0) lines.push("", "Tried again by themselves:", formatTable(problems));
  return lines.join("\n");
}

export function leftText({ hours_left }: BackfillProgress): string {
  return hours_left === null ? "time left unknown" : `about ${hoursText(hours_left)} left`;
}

export function hoursText(hours: number): string {
  if (hours >= 48) return `${Math.round(hours / 24)} days`;
  if (hours >= 1) return `${hours.toFixed(1)} hours`;
  return hours >= 1 / 60 ? `${Math.ceil(hours * 60)} min` : `${Math.ceil(hours * 3600)} s`;
}

export function budgetText({ credential, limit, used, paused_until, pause_reason }: CredentialState): string[] {
  if (paused_until !== null) return [`${credential} pauses until ${time(paused_until)}: ${pause_reason ?? "limit"}`];
  return limit === null || used === null ? [] : [`${credential}: ${used} of ${limit} requests used`];
}

/** What a dry run says, and what is said before a backfill begins. */
export function formatPlan(plan: BackfillPlan, { since, until }: { readonly since: Date; readonly until: Date }): string {
  const { repositories, hours, runs_expired, runs_expiring } = plan;
  const lines = [
    `Runs created from ${time(since)} to ${time(until)}, by GitHub's own count:`,
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
    `About ${plan.jobs} jobs and ${plan.api_calls} API calls: ${hours === null ? "no limit is known, so no time can be told" : `${hoursText(hours)} under the limit`}.`,
  ];
  if (runs_expired > 0)
    lines.push(`${runs_expired} runs are older than GitHub keeps logs: their jobs are recorded, their logs most likely gone.`);
  if (runs_expiring > 0)
    lines.push(
      `${runs_expiring} runs will lose their logs before they are reached. A later --since, an App with a higher limit, or a smaller GITHUB_RESERVE_PERCENT helps.`,
    );
  return lines.join("\n");
}

function time(date: Date): string {
  return date.toISOString().replace(/\.\d{3}Z$/, "Z");
}
