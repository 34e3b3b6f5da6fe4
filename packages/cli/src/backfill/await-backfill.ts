// `backfill --wait`: waits until the backfill ends. Without a running fetcher, this process does the work.

import { setTimeout as sleep } from "node:timers/promises";

import type { Logger } from "@actions-archive/core/logger";
import { isFetcherConnected } from "@actions-archive/database/backfill/backfill-progress";
import type { Fetcher } from "@actions-archive/fetcher/fetcher";
import { feed } from "@actions-archive/fetcher/queue/feed";
import { fetcherName } from "@actions-archive/fetcher/start-fetcher";
import { startLoader } from "@actions-archive/loader/start-loader";
import { startLogWorker } from "@actions-archive/log-worker/start-log-worker";

import { IdleTimeout } from "../idle-timeout.ts";
import { type ProgressReport, waitingText } from "../progress.ts";
import type { StartConfig } from "../start-config.ts";
import { type BackfillReport, budgetText, leftText, readBackfill } from "./backfill-report.ts";
import { type BackfillRunner, openBackfillRunner } from "./run-backfill-slices.ts";

const turnMs = 250;
const reportEveryMs = 1_000;
/** How soon a crashed fetcher is replaced. */
const checkFetcherMs = 15_000;

export type AwaitOptions = {
  readonly config: StartConfig;
  readonly fetcher: Fetcher;
  readonly log: Logger;
  readonly stopping: AbortSignal;
  readonly resources: AsyncDisposableStack;
  /** The maximum wait without progress, apart from pauses of credentials. */
  readonly maxWaitSeconds: number;
  readonly onProgress: (report: ProgressReport) => void;
};

/**
 * @returns the backfill's state once it is done, cancelled or paused, or once there was no progress for `maxWaitSeconds`.
 * @throws the signal's reason when it was stopped.
 */
export async function awaitBackfill(backfillId: number, options: AwaitOptions): Promise<BackfillReport> {
  const { fetcher, stopping, resources } = options;
  const { maxWaitSeconds } = options;
  // Counting a large backfill takes long, so a pause that ends with progress does not count.
  const timeout = new IdleTimeout({ maxWaitSeconds, maxPauseSeconds: maxWaitSeconds });
  let runner: BackfillRunner | undefined;
  let last = "";
  let [reportDueAt, checkDueAt] = [0, 0];
  for (;;) {
    stopping.throwIfAborted();
    if (runner === undefined && performance.now() >= checkDueAt) {
      checkDueAt = performance.now() + checkFetcherMs;
      if (!(await isFetcherConnected(fetcher.db, fetcherName))) runner = resources.use(await openWorkers(options));
    }
    await runner?.turn();
    if (runner) await feed(fetcher);
    if (performance.now() >= reportDueAt) {
      const startedAt = performance.now();
      const report = await readBackfill(fetcher.db, backfillId);
      if (report === undefined) throw new Error(`backfill ${backfillId} is gone`);
      const state = JSON.stringify([report.progress.settled, report.repositories]);
      const isPausing = report.credentials.some(({ paused_until }) => paused_until !== null);
      if (state !== last || isPausing) timeout.recordProgress();
      last = state;
      options.onProgress(progressReport(report, timeout.waitedSeconds));
      if (report.backfill.state !== "running" || timeout.isOver) return report;
      // Counting a large backfill takes seconds; at least four fifths of the time are left to the work.
      reportDueAt = performance.now() + Math.max(reportEveryMs, 4 * (performance.now() - startedAt));
    }
    await sleep(turnMs);
  }
}

async function openWorkers({ config, fetcher, log, stopping, resources }: AwaitOptions): Promise<BackfillRunner> {
  const withoutPort = { ...config, PORT: undefined };
  await startLoader(withoutPort, { log, resources });
  await startLogWorker(withoutPort, { log, resources });
  return openBackfillRunner(fetcher, stopping);
}

function progressReport(report: BackfillReport, waitedSeconds: number): ProgressReport {
  const { progress, credentials } = report;
  return {
    done: progress.settled,
    total: progress.expected_jobs,
    unit: "logs",
    details: [
      `${progress.listed_percent} % listed`,
      `${progress.logs_per_hour} logs/h`,
      ...leftText(progress),
      ...credentials.flatMap(budgetText),
      ...waitingText(waitedSeconds),
    ],
  };
}
