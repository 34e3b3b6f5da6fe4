// Looks at one attempt that still owes its jobs: is it complete, and which jobs does it have? Jobs that are complete go into
// the ledger at once, even while their run goes on.

import { PermanentError } from "@actions-archive/core/errors";
import { finishVisit, type LedgerAttempt } from "@actions-archive/database/attempts";
import { recordJobs } from "@actions-archive/database/obligations";
import { recordRuns } from "@actions-archive/database/runs";
import { getRepository } from "@actions-archive/github/repositories";
import type { WorkflowJob } from "@actions-archive/github/schemas";
import { listJobsForRun, listJobsForRunAttempt } from "@actions-archive/github/workflow-jobs";
import { getRun, getRunAttempt } from "@actions-archive/github/workflow-runs";

import { dayMs, type Fetcher } from "./fetcher.ts";
import type { ListedRepository } from "./list-window.ts";

/** GitHub ends a run after 35 days; one that is still open then never will be complete. https://docs.github.com/actions/reference/limits */
const longestRunDays = 35;

/** Later visits of an attempt that goes on are further apart. */
const shortestRevisitSeconds = 60;
const longestRevisitSeconds = 60 * 60;

/** A job can lag behind its completed attempt; after so many visits the listing is taken as it is. */
const mostLaggingVisits = 20;

/** The runs that the list has just shown, as of GitHub's `date`: all that were created at or after `from`. */
export type Shown = { readonly from: Date; readonly date: Date };

/**
 * Visits an open attempt. Idempotent.
 * @param options `shown` spares asking for a run that the list has just shown to go on.
 * @returns whether the attempt is settled: listed, gone or never completed.
 * @throws the client's errors, a 404 of the repository itself included; the attempt stays open.
 */
export async function visitAttempt(
  fetcher: Fetcher,
  repository: ListedRepository,
  attempt: LedgerAttempt,
  { signal, shown }: { readonly signal: AbortSignal; readonly shown?: Shown | undefined },
): Promise<boolean> {
  const { db, log } = fetcher;
  const context = { repository: repository.full_name, runId: attempt.run_id, attempt: attempt.run_attempt };
  try {
    // Asked before the jobs are listed: only a listing that began after the completion is final.
    const run = isShownOpen(attempt, shown)
      ? { isComplete: false, date: shown.date }
      : await lookAtAttempt(fetcher, repository, attempt, signal);
    // A rebuilt ledger may know a run by its id alone, and no list shows it again when it is old.
    if (attempt.status === null && attempt.run_attempt === attempt.newest_attempt && run.object !== undefined)
      await recordRuns(db, repository.repository_id, [run.object]);
    const jobs = await listJobs(fetcher, repository, attempt, signal);
    await recordJobs(
      db,
      repository.repository_id,
      jobs.map((object) => ({ object, source: "listing", listedAttempt: attempt.run_attempt })),
    );
    const lagging = jobs.filter(({ status }) => status !== "completed").length;
    if (run.isComplete && (lagging === 0 || attempt.visits >= mostLaggingVisits)) {
      if (lagging > 0) log.error({ ...context, lagging }, "a completed attempt lists jobs that are not");
      // Pages can shift while they are read, and show a job twice.
      const distinct = new Set(jobs.map(({ id }) => id)).size;
      await finishVisit(db, attempt, { state: "listed", jobs: distinct, object: run.object });
      return true;
    }
    if (run.date !== undefined && run.date.getTime() - attempt.run_created_at.getTime() > longestRunDays * dayMs) {
      log.warn(context, "a run that never completed");
      await finishVisit(db, attempt, { state: "never_completed" });
      return true;
    }
    const againInSeconds = Math.min(longestRevisitSeconds, shortestRevisitSeconds * 2 ** Math.min(attempt.visits, 10));
    await finishVisit(db, attempt, { state: "open", againInSeconds, object: run.object });
    return false;
  } catch (error) {
    if (!(error instanceof PermanentError) || error.code !== "github/not-found") throw error;
    await checkRepositoryIsThere(fetcher, repository, signal);
    log.warn(context, "attempt gone before its jobs were listed");
    await finishVisit(db, attempt, { state: "gone" });
    return true;
  }
}

// What was just listed as going on need not be asked for: it is not complete, whatever its jobs are.
function isShownOpen(attempt: LedgerAttempt, shown: Shown | undefined): shown is Shown {
  const isNewest = attempt.run_attempt === attempt.newest_attempt;
  return shown !== undefined && isNewest && attempt.status !== "completed" && attempt.run_created_at >= shown.from;
}

type AttemptLook = { readonly isComplete: boolean; readonly object?: unknown; readonly date?: Date };

// The run list already described the newest attempt; an earlier one is over once there is a later one, but its own object
// (conclusion, times, who triggered it) is nowhere else.
async function lookAtAttempt(
  { github }: Fetcher,
  { full_name }: ListedRepository,
  attempt: LedgerAttempt,
  signal: AbortSignal,
): Promise<AttemptLook> {
  const run = { repository: full_name, runId: attempt.run_id, signal };
  if (attempt.run_attempt < attempt.newest_attempt) {
    const answer = await unlessNotFound(getRunAttempt(github, { ...run, runAttempt: attempt.run_attempt }));
    return answer ? { isComplete: true, object: answer.data, date: answer.date } : { isComplete: true };
  }
  if (attempt.status === "completed") return { isComplete: true };
  const { data, date } = await getRun(github, run);
  const isSameAttempt = (data.run_attempt ?? 1) === attempt.run_attempt;
  return { isComplete: data.status === "completed" || !isSameAttempt, date, ...(isSameAttempt ? { object: data } : {}) };
}

// A GHES before 3.5 has no attempts of its own; there the list of all jobs says which attempt each belongs to.
async function listJobs(
  { github }: Fetcher,
  { full_name }: ListedRepository,
  { run_id, run_attempt }: LedgerAttempt,
  signal: AbortSignal,
): Promise<WorkflowJob[]> {
  const run = { repository: full_name, runId: run_id, signal };
  const listed = await unlessNotFound(Array.fromAsync(listJobsForRunAttempt(github, { ...run, runAttempt: run_attempt })));
  if (listed !== undefined) return listed.flatMap(({ data }) => data);
  const all = await Array.fromAsync(listJobsForRun(github, { ...run, filter: "all" }));
  return all.flatMap(({ data }) => data).filter((job) => (job.run_attempt ?? 1) === run_attempt);
}

async function unlessNotFound<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof PermanentError && error.code === "github/not-found") return undefined;
    throw error;
  }
}

/** Lost access looks like deletion; a run is only gone when its repository can still be read. */
async function checkRepositoryIsThere(
  { github }: Fetcher,
  { repository_id, full_name }: ListedRepository,
  signal: AbortSignal,
): Promise<void> {
  const { data } = await getRepository(github, { repository: full_name, signal });
  if (data.id !== repository_id)
    throw new PermanentError("github/not-found", `${full_name} is now another repository (id ${data.id}, was ${repository_id})`);
}
