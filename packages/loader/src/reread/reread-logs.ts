// Rereads many logs: in a turn of the loader's maintenance, which yields to loading, or in a complete `reindex`.

import { setTimeout as sleep } from "node:timers/promises";

import { extractionVersion } from "@actions-archive/archive/log/facts/extraction";
import { type ActionsArchiveError, TransientError } from "@actions-archive/core/errors";
import { hasUnloadedRecords } from "@actions-archive/database/ledger/log-jobs";
import { listOwedRereads, type RereadChoice } from "@actions-archive/database/ledger/rereads";
import pMap from "p-map";

import type { Loader } from "../loader.ts";
import { loadBatches } from "../rows/batcher.ts";
import { type RereadOptions, rereadLog, type RereadResult } from "./reread-log.ts";

const batchLogs = 20;
const pageLogs = 500;
/** Each holds two connections to Postgres, and a few MiB. */
const readAtOnce = 3;
/** After this number of consecutive failures the store is presumed unavailable. */
const maxTransientFailures = 5;
const busyRetryMs = 1_000;
const maxBusyRetries = 60;

/**
 * Rereads logs that are owed a reread, newest first and one at a time, for at most `budgetMs` and one log. Rereads none while a full
 * batch of records waits to be loaded, and ends early if the store does not answer.
 * @returns the number of reread logs.
 * @throws TransientError if the database does not answer; the signal's reason.
 */
export async function rereadOwedLogs(
  loader: Loader,
  { budgetMs, signal }: { readonly budgetMs: number; readonly signal?: AbortSignal | undefined },
): Promise<number> {
  const { db } = loader;
  const endsAt = performance.now() + budgetMs;
  let read = 0;
  if (await hasUnloadedRecords(db, loadBatches.maxItems)) return read;
  for (;;) {
    const before = read;
    for (const jobId of await listOwedRereads(db, extractionVersion, { skipsBackedOff: true, limit: batchLogs })) {
      if (performance.now() >= endsAt) return read;
      const result = await rereadLog(loader, jobId, { signal });
      if (result.outcome === "failed" && result.error instanceof TransientError) return read;
      if (result.outcome !== "busy") read += 1;
    }
    // None is left, or other processes reread all of them.
    if (read === before) return read;
  }
}

export type ReindexTotals = {
  /** Logs that were reread. */
  read: number;
  /** New versions of records. */
  written: number;
  failed: { readonly job_id: number; readonly problem: string }[];
};

export type ReindexOptions = Pick<RereadOptions, "signal"> & {
  readonly choice: RereadChoice;
  readonly onProgress?: (totals: ReindexTotals) => void;
};

/**
 * Rereads every selected log that is owed a reread, newest first; with `jobIds` these, owed or not. A call after a crash continues,
 * since finished logs are no longer owed a reread. Memory grows only with the number of failures.
 * @throws TransientError if the database or the store does not answer; the signal's reason.
 */
export async function reindex(loader: Loader, { choice, signal, onProgress }: ReindexOptions): Promise<ReindexTotals> {
  const totals: ReindexTotals = { read: 0, written: 0, failed: [] };
  const isForced = choice.jobIds !== undefined;
  const busy: number[] = [];
  let transientFailures = 0;
  const readOne = async (jobId: number) => {
    signal?.throwIfAborted();
    const result = await rereadLog(loader, jobId, { isForced, signal });
    if (result.outcome === "busy") return void busy.push(jobId);
    transientFailures = isTransient(result) ? transientFailures + 1 : 0;
    count(totals, jobId, result);
    onProgress?.(totals);
    if (result.outcome === "failed" && transientFailures >= maxTransientFailures) throw result.error;
  };
  for await (const page of pagesOf(loader, choice)) await pMap(page, readOne, { concurrency: readAtOnce });
  // Usually a loader's reread, which ends within seconds.
  for (let tries = 0; busy.length > 0 && tries < maxBusyRetries; tries += 1) {
    await sleep(busyRetryMs, undefined, { signal });
    await pMap(busy.splice(0), readOne, { concurrency: readAtOnce });
  }
  for (const job_id of busy) totals.failed.push({ job_id, problem: "Another process reads this log: run reindex again" });
  return totals;
}

function isTransient(result: RereadResult): result is { outcome: "failed"; error: ActionsArchiveError } {
  return result.outcome === "failed" && result.error instanceof TransientError;
}

function count(totals: ReindexTotals, job_id: number, result: RereadResult): void {
  totals.read += 1;
  if (result.outcome === "written") totals.written += 1;
  if (result.outcome === "failed") totals.failed.push({ job_id, problem: result.error.message });
}

async function* pagesOf({ db }: Loader, choice: RereadChoice): AsyncGenerator<readonly number[]> {
  if (choice.jobIds !== undefined) return yield [...new Set(choice.jobIds)];
  for (let before: number | undefined; ;) {
    const page = await listOwedRereads(db, extractionVersion, { choice, skipsBackedOff: false, before, limit: pageLogs });
    if (page.length === 0) return;
    yield page;
    before = page.at(-1);
  }
}
