// Resolves a backfill request into repositories, a span of time and a cost estimate. Sends a few requests per repository and
// writes nothing.

import { dayMs } from "@actions-archive/core/durations";
import { PermanentError } from "@actions-archive/core/errors";
import { listCredentials } from "@actions-archive/database/budget/credentials";
import { defaultRetentionDays } from "@actions-archive/database/ledger/log-jobs";
import { getLogRetention } from "@actions-archive/github/endpoints/repositories";
import type { Repository } from "@actions-archive/github/schemas";

import type { Fetcher } from "../fetcher.ts";
import { settleMs } from "../poll/scan-repository.ts";
import { everythingBut, type RepositoryPatterns } from "../repositories/repository-patterns.ts";
import { findRepositories } from "../repositories/select-repositories.ts";
import { estimateRuns } from "./estimate-runs.ts";
import { type BackfillPlan, planBackfill, type PlannedRepository } from "./plan-backfill.ts";

export type BackfillRequest = {
  readonly patterns: RepositoryPatterns;
  /** Default: the longest log retention of the repositories. */
  readonly since?: Date | undefined;
  /** Default and maximum: two minutes ago by GitHub's clock. Polls find later runs. */
  readonly until?: Date | undefined;
};

export type BudgetShare = { readonly reservePercent: number; readonly maxPerHour: number | undefined };

export type PreparedBackfill = {
  readonly since: Date;
  readonly until: Date;
  readonly repositories: readonly (Repository & { readonly estimatedRuns: number })[];
  readonly plan: BackfillPlan;
};

/** 900 requests a minute. https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api */
const maxPerHourAtGitHub = 54_000;

/**
 * @throws PermanentError `usage/invalid` when a repository does not exist or is excluded by ARCHIVE_REPOSITORIES, or when the
 * span is empty; the client's errors.
 */
export async function prepareBackfill(
  fetcher: Fetcher,
  request: BackfillRequest,
  { share, signal }: { readonly share: BudgetShare; readonly signal: AbortSignal },
): Promise<PreparedBackfill> {
  const repositories = await resolveRepositories(fetcher, request.patterns, signal);
  const retentions = new Map<number, number>();
  for (const { id, full_name } of repositories)
    retentions.set(id, (await getLogRetention(fetcher.github, { repository: full_name, signal })) ?? defaultRetentionDays);
  const now = fetcher.github.now();
  const { since, until } = spanOf(request, now, Math.max(defaultRetentionDays, ...retentions.values()));
  const planned: PlannedRepository[] = [];
  for (const { id, full_name } of repositories) {
    planned.push({
      full_name,
      credential: await fetcher.github.credentialFor(full_name, signal),
      logRetentionDays: retentions.get(id) ?? defaultRetentionDays,
      estimate: await estimateRuns(fetcher, full_name, { start: since, end: until }, signal),
    });
  }
  return {
    since,
    until,
    repositories: repositories.map((repository, index) => ({ ...repository, estimatedRuns: planned[index]?.estimate.runs ?? 0 })),
    plan: planBackfill(planned, { now, callsPerHour: await callsPerHourOf(fetcher, share) }),
  };
}

async function resolveRepositories(
  fetcher: Fetcher,
  patterns: RepositoryPatterns,
  signal: AbortSignal,
): Promise<readonly Repository[]> {
  const { repositories, unreadable } = await findRepositories(fetcher, patterns, signal);
  const isAllowed = everythingBut(fetcher.settings.ARCHIVE_REPOSITORIES);
  const excluded = patterns.names.filter((name) => !isAllowed(name));
  const wrong = [
    ...unreadable.map(({ name, problem }) => `${name}: ${problem}`),
    ...excluded.map((name) => `${name}: ARCHIVE_REPOSITORIES excludes it`),
  ];
  const resolved = new Map(repositories.filter(({ full_name }) => isAllowed(full_name)).map((each) => [each.id, each]));
  if (wrong.length === 0 && resolved.size === 0) wrong.push("no repository matches");
  if (wrong.length > 0) throw new PermanentError("usage/invalid", `No backfill was created. ${wrong.join(". ")}`);
  return [...resolved.values()];
}

function spanOf({ since, until }: BackfillRequest, now: Date, retentionDays: number): { since: Date; until: Date } {
  const settled = new Date(now.getTime() - settleMs);
  const span = {
    since: since ?? new Date(now.getTime() - retentionDays * dayMs),
    until: until === undefined || until > settled ? settled : until,
  };
  if (span.since < span.until) return span;
  throw new PermanentError(
    "usage/invalid",
    `No backfill was created. No run can be created between ${span.since.toISOString()} and ${span.until.toISOString()}: --since must be earlier than --until, and earlier than two minutes ago`,
  );
}

async function callsPerHourOf({ db }: Fetcher, { reservePercent, maxPerHour = Infinity }: BudgetShare) {
  const limits = new Map((await listCredentials(db)).map(({ credential, limit }) => [credential, limit]));
  return (credential: string): number | null => {
    const limit = limits.get(credential);
    if (limit == null) return maxPerHour === Infinity ? null : maxPerHour;
    return Math.min((limit * (100 - reservePercent)) / 100, maxPerHour, maxPerHourAtGitHub);
  };
}
