// Runs one full pass: stored deliveries, every repository from its start to now, re-runs of the last 30 days, open runs once,
// running backfills, and the queues until nothing can run. Waiting for back-offs and pauses is limited by --max-wait.

import { setTimeout as sleep } from "node:timers/promises";

import { ActionsArchiveError, PermanentError, RateLimitedError } from "@actions-archive/core/errors";
import type { Service } from "@actions-archive/core/service";
import { makeUnconfirmedDue } from "@actions-archive/database/ledger/log-states";
import { listRechecks } from "@actions-archive/database/ledger/rechecks";
import { listSelectedRepositories } from "@actions-archive/database/ledger/repositories";
import { countWork, hasLogsDueWithin, type WorkCounts } from "@actions-archive/database/ledger/summary";
import type { Fetcher } from "@actions-archive/fetcher/fetcher";
import { pollRepository } from "@actions-archive/fetcher/poll/poll-repository";
import { feed } from "@actions-archive/fetcher/queue/feed";
import { pruneQueues } from "@actions-archive/fetcher/queue/prune-queues";
import { selectRepositories } from "@actions-archive/fetcher/repositories/select-repositories";
import { fetcherName, openFetcher } from "@actions-archive/fetcher/start-fetcher";
import { recordStoredDeliveries } from "@actions-archive/fetcher/webhook/receive-delivery";
import { rereadOwedLogs } from "@actions-archive/loader/reread/reread-logs";
import { sealPending } from "@actions-archive/loader/seal/start-sealing";
import { startLoader } from "@actions-archive/loader/start-loader";
import { startLogWorker } from "@actions-archive/log-worker/start-log-worker";

import { openBackfillRunner } from "../backfill/run-backfill-slices.ts";
import { IdleTimeout } from "../idle-timeout.ts";
import { type ProgressReport, waitingText } from "../progress.ts";
import type { StartConfig } from "../start-config.ts";
import { PassProgress } from "./pass-progress.ts";
import { makePassReport, type PassReport } from "./pass-report.ts";

export type PassOptions = { readonly maxWaitSeconds: number; readonly onProgress: (report: ProgressReport) => void };

type Pass = {
  readonly fetcher: Fetcher;
  readonly timeout: IdleTimeout;
  readonly stopping: AbortSignal;
  repositories: number;
  repositoriesListed: number;
  /** What was not finished, and why. */
  readonly givenUp: string[];
  isListing: boolean;
  /** No work is left that can run. */
  isOver: boolean;
};

const feedEveryMs = 150;
const pruneIntervalMs = 30_000;
const pollsAtOnce = 4;
const lateRetryMs = 2_000;
const recheckEveryMs = 1_000;
/** A request, the end of an upload and counting a large ledger take seconds, which do not count as waiting. */
const maxPauseSeconds = 10;
/**
 * Few job objects gain steps during a pass. An archive that a newer extraction must read again needs many passes, or `reindex`.
 */
const maxRereadMs = 30_000;

/**
 * @returns the report of the pass.
 * @throws ConfigError; the signal's reason when it was stopped.
 */
export async function runPass(
  config: StartConfig,
  service: Pick<Service, "log" | "resources" | "stopping">,
  options: PassOptions,
): Promise<PassReport> {
  const { stopping } = service;
  const { fetcher } = await openFetcher(config, service, fetcherName);
  const withoutPort = { ...config, PORT: undefined };
  const openLoader = await startLoader(withoutPort, service);
  const timeout = new IdleTimeout({ maxWaitSeconds: options.maxWaitSeconds, maxPauseSeconds });
  await startLogWorker(withoutPort, { ...service, activity: timeout });
  const pass: Pass = {
    fetcher,
    timeout,
    stopping,
    repositories: 0,
    repositoriesListed: 0,
    givenUp: [],
    isListing: true,
    isOver: false,
  };
  // Logs that an earlier pass left unconfirmed are due now.
  await makeUnconfirmedDue(fetcher.db);
  await retryUntilIdle(pass, "the stored deliveries", async () => void (await recordStoredDeliveries(fetcher)));
  const listing = listRepositories(pass).finally(() => {
    pass.isListing = false;
  });
  const feeding = feedUntilDone(pass, options).finally(() => {
    pass.isOver = true;
  });
  await Promise.all([listing.then(() => recheckRepositories(pass)), feeding]);
  stopping.throwIfAborted();
  await rereadOwedLogs(openLoader.loader, { budgetMs: maxRereadMs, signal: stopping });
  await sealPending(config, openLoader);
  return makePassReport(fetcher.db, pass.givenUp);
}

async function listRepositories(pass: Pass): Promise<void> {
  const { fetcher, stopping } = pass;
  await retryUntilIdle(pass, "the selection of repositories", async () => void (await selectRepositories(fetcher, stopping)));
  const repositories = await listSelectedRepositories(fetcher.db);
  pass.repositories = repositories.length;
  const queue = repositories.values();
  const worker = async () => {
    for (const { repository_id, full_name } of queue) {
      let isRetry = false;
      await retryUntilIdle(pass, full_name, () => {
        const listing = listRepository(pass, repository_id, isRetry);
        isRetry = true;
        return listing;
      });
      pass.repositoriesListed++;
    }
  };
  await Promise.all(Array.from({ length: pollsAtOnce }, worker));
}

async function listRepository({ fetcher, timeout, stopping }: Pass, repositoryId: number, isRetry: boolean): Promise<void> {
  // A retry checks the same attempts again, which is no progress by itself; what it finds shows in the counts.
  const onProgress = isRetry ? {} : { onProgress: async () => timeout.recordProgress() };
  const outcome = await timeout.whileWorking(() =>
    pollRepository(fetcher, repositoryId, { isFullPass: true, signal: stopping, ...onProgress }),
  );
  // Another process, or one that crashed less than a minute ago, holds the lease: its pass may have started before this one.
  if (outcome === "leased")
    throw new RateLimitedError("another process lists the repository", new Date(Date.now() + lateRetryMs));
}

// Rechecks within the pass what an incomplete list or a 404 hid, as soon as it is due, so that a single wrong answer is
// corrected.
async function recheckRepositories(pass: Pass): Promise<void> {
  const { fetcher, timeout, stopping } = pass;
  while (!pass.isOver && !timeout.isOver && !stopping.aborted) {
    const due = (await listRechecks(fetcher.db)).filter(({ due_in_seconds }) => due_in_seconds === 0);
    for (const { repository_id } of due) {
      const poll = () => pollRepository(fetcher, repository_id, { isFullPass: false, signal: stopping });
      // The reason of a failure is recorded and becomes a gap.
      await timeout.whileWorking(poll).catch((error: unknown) => {
        if (stopping.aborted || !(error instanceof ActionsArchiveError)) throw error;
      });
    }
    await sleep(recheckEveryMs, undefined, { signal: stopping });
  }
}

/** Retries `work` until it succeeds, fails permanently, or the pass has waited for --max-wait. */
async function retryUntilIdle({ timeout, stopping, givenUp }: Pass, what: string, work: () => Promise<void>): Promise<void> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (stopping.aborted || !(error instanceof ActionsArchiveError)) throw error;
      if (error instanceof PermanentError || timeout.isOver) {
        givenUp.push(`${what}: ${error.message}`);
        return;
      }
      const waitMs = error instanceof RateLimitedError ? error.retryAt.getTime() - Date.now() : lateRetryMs;
      await sleep(Math.min(Math.max(waitMs, 100), timeout.leftMs), undefined, { signal: stopping });
    }
  }
}

async function feedUntilDone(pass: Pass, { onProgress }: PassOptions): Promise<void> {
  const { fetcher, timeout, stopping } = pass;
  const recordProgress = () => timeout.recordProgress();
  await using worker = openBackfillRunner(fetcher, stopping, recordProgress);
  const progress = new PassProgress();
  let pruneDueAt = 0;
  for (;;) {
    if (stopping.aborted) return;
    await worker.turn();
    if (performance.now() >= pruneDueAt) {
      await pruneQueues(fetcher, { archive: fetcher.archiveQueue, load: fetcher.loadQueue });
      pruneDueAt = performance.now() + pruneIntervalMs;
    }
    await feed(fetcher);
    const counts = await countWork(fetcher.db);
    if (progress.advance(counts)) recordProgress();
    onProgress({
      done: counts.archived + counts.absent + counts.failed,
      total: counts.jobs,
      unit: "logs",
      details: [`${pass.repositoriesListed}/${pass.repositories} repositories listed`, ...waitingText(timeout.waitedSeconds)],
    });
    if (!pass.isListing && (isDone(counts) || (await canOnlyWait(pass, counts)))) return;
    if (timeout.isOver) return;
    await sleep(feedEveryMs);
  }
}

function isDone(counts: WorkCounts): boolean {
  const { pending, paused, unloadedJobs, unrecordedAttempts, laggingAttempts, incompleteWindows, openBackfills } = counts;
  return pending + unloadedJobs + unrecordedAttempts + laggingAttempts + incompleteWindows + openBackfills === paused;
}

/** Whether only logs and lists are left that are retried after the pass: an unconfirmed 410 is confirmed a day later. */
async function canOnlyWait({ fetcher, timeout }: Pass, counts: WorkCounts): Promise<boolean> {
  const withoutRetries = { ...counts, pending: counts.paused, laggingAttempts: 0, incompleteWindows: 0 };
  const leftSeconds = timeout.leftMs / 1000;
  if (!isDone(withoutRetries) || (await hasLogsDueWithin(fetcher.db, leftSeconds))) return false;
  return (await listRechecks(fetcher.db)).every(({ due_in_seconds }) => due_in_seconds > leftSeconds);
}
