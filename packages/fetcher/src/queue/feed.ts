// The feeder: enqueues due work from the ledger. The ledger is the backlog and the queues hold the current work. Which ids are
// queued is read from the queue itself, so entries that a queue lost are enqueued again.

import { queueId, tryParseArchiveId } from "@actions-archive/core/stages";
import { listDueLogs } from "@actions-archive/database/ledger/due-logs";
import { listUnloadedJobs } from "@actions-archive/database/ledger/log-jobs";
import { listUnrecordedAttempts } from "@actions-archive/database/ledger/recorded-attempts";

import type { Fetcher } from "../fetcher.ts";

/** Per credential: enough to keep every log-worker busy until the next feed, few enough that urgent logs are not delayed. */
const maxQueuedLogs = 300;
const maxQueuedLoads = 500;

/**
 * Enqueues due work: logs to archive, rows and run records to load. Idempotent; any process may call it at any time.
 * @returns the number of logs that were newly enqueued, and the number of loads due.
 */
export async function feed({
  db,
  archiveQueue,
  loadQueue,
}: Pick<Fetcher, "db" | "archiveQueue" | "loadQueue">): Promise<{ logs: number; loads: number }> {
  const [archiveIds, loadIds] = await Promise.all([archiveQueue.ids(), loadQueue.ids()]);
  const queued = archiveIds.map(tryParseArchiveId).filter((id) => id !== undefined);
  const loading = new Set(loadIds);
  const [jobs, attempts, logs] = await Promise.all([
    listUnloadedJobs(db, maxQueuedLoads),
    listUnrecordedAttempts(db, maxQueuedLoads),
    listDueLogs(db, { queued, maxPerCredential: maxQueuedLogs }),
  ]);
  const loads = [
    ...jobs.map((job_id) => ({ kind: "job", job_id }) as const),
    ...attempts.map(({ run_id, run_attempt }) => ({ kind: "run", run_id, run_attempt }) as const),
  ];
  // Reading the queued ids costs one call in total; adding a queued id again costs one call each.
  await loadQueue.add(loads.filter((payload) => !loading.has(queueId("load", payload))));
  await archiveQueue.add(logs.map((job_id) => ({ job_id })));
  return { logs: logs.length, loads: loads.length };
}
