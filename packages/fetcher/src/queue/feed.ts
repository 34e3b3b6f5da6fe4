// The feeder: from the ledger to the queues. The ledger is the backlog, the queues hold the work at hand; what is queued is
// asked of the queue itself, so that what a queue forgot is simply fed again.

import { queueId, tryParseArchiveId } from "@actions-archive/core/stages";
import { listDueLogs } from "@actions-archive/database/ledger/due-logs";
import { listUnloadedJobs } from "@actions-archive/database/ledger/log-jobs";
import { listUnrecordedAttempts } from "@actions-archive/database/ledger/recorded-attempts";

import type { Fetcher } from "../fetcher.ts";

/** Of one credential: enough to keep every log-worker busy until the next feeding, few enough that what is urgent comes soon. */
const maxQueuedLogs = 300;
const maxQueuedLoads = 500;

/**
 * Queues what is due: logs to archive, rows and run records to load. Idempotent; any process may call it at any time.
 * @returns how many logs it queued that were not queued before, and how many loads are due.
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
  // Asking costs one call for all that is queued, adding it again one for each.
  await loadQueue.add(loads.filter((payload) => !loading.has(queueId("load", payload))));
  await archiveQueue.add(logs.map((job_id) => ({ job_id })));
  return { logs: logs.length, loads: loads.length };
}
