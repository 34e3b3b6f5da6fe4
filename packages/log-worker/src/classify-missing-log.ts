// Why is there no log? Decided in the contract's order, with a look at the repository only where it is needed.

import type { AbsentLog } from "@actions-archive/archive/record";
import { PermanentError } from "@actions-archive/core/errors";
import type { Obligation } from "@actions-archive/database/obligations";
import { renameRepository } from "@actions-archive/database/repositories";
import { getKnownRepository } from "@actions-archive/github/repositories";
import { listRuns } from "@actions-archive/github/workflow-runs";

import type { JobFacts } from "./job-facts.ts";
import type { LogWorker } from "./log-worker.ts";

/** GitHub's default. https://docs.github.com/organizations/managing-organization-settings/configuring-the-retention-period-for-github-actions-artifacts-and-logs-in-your-organization */
const defaultRetentionSeconds = 90 * 24 * 60 * 60;

export type Absence =
  | { readonly kind: "wait"; readonly seconds: number }
  | { readonly kind: "absent"; readonly reason: AbsentLog["reason"] }
  | { readonly kind: "no-access"; readonly detail: string };

export type Emptiness = { readonly isEmpty: boolean; readonly date: Date };

/**
 * Judges a 404, a BlobNotFound or zero bytes. `date` is GitHub's clock.
 * @throws RateLimitedError, TransientError, PermanentError `github/unauthorized` of the look at the repository.
 */
export async function judgeAbsence(
  worker: LogWorker,
  job: Obligation,
  facts: JobFacts,
  { isEmpty, date }: Emptiness,
  signal: AbortSignal,
): Promise<Absence> {
  // A job that does not say when it ended had ended when it was received: it is at least that old.
  const ageSeconds = (date.getTime() - (facts.completedAt ?? job.object_received_at).getTime()) / 1000;
  const wait = waitSeconds(ageSeconds, job.tries, worker.settings.LOG_WAIT_SECONDS);
  if (wait !== undefined) return { kind: "wait", seconds: wait };
  if (isEmpty) return { kind: "absent", reason: "empty" };
  if (facts.neverRan !== undefined) return { kind: "absent", reason: facts.neverRan };
  const access = await lookAtRepository(worker, job, signal);
  if ("problem" in access) return { kind: "no-access", detail: access.problem };
  if (access.fullName !== job.full_name) {
    await renameRepository(worker.db, job.repository_id, access.fullName);
    return { kind: "wait", seconds: 1 };
  }
  return { kind: "absent", reason: ageSeconds > retentionSeconds(job) ? "expired" : "deleted" };
}

/** How long until a young job's log is asked for again: 2 s, 4 s, … a minute, and never far beyond the end of the wait. */
export function waitSeconds(ageSeconds: number, tries: number, waitForSeconds: number): number | undefined {
  if (ageSeconds >= waitForSeconds) return undefined;
  const backoff = Math.min(60, 2 ** Math.min(tries + 1, 6));
  return Math.max(1, Math.min(backoff, Math.ceil(waitForSeconds - ageSeconds)));
}

/** How long logs are kept here: what the endpoint says, else the youngest 410 that was seen, else GitHub's default. */
export function retentionSeconds({
  log_retention_days,
  youngest_gone_seconds,
}: Pick<Obligation, "log_retention_days" | "youngest_gone_seconds">): number {
  if (log_retention_days !== null) return log_retention_days * 24 * 60 * 60;
  return youngest_gone_seconds ?? defaultRetentionSeconds;
}

// Lost access looks like deletion, so the repository and its runs must be readable before a log is called deleted.
// One that moved is to be asked for by its new name first.
async function lookAtRepository(
  { github }: LogWorker,
  { full_name, repository_id }: Obligation,
  signal: AbortSignal,
): Promise<{ readonly fullName: string } | { readonly problem: string }> {
  try {
    const { data } = await getKnownRepository(github, { repositoryId: repository_id, fullName: full_name, signal });
    await listRuns(github, { repository: data.full_name, perPage: 1, signal });
    return { fullName: data.full_name };
  } catch (error) {
    if (error instanceof PermanentError && error.code !== "github/unauthorized") return { problem: error.message };
    throw error;
  }
}
