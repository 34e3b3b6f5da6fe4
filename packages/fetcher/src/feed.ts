// The feeder: from the ledger to the queues. The ledger is the backlog, the queues hold the work at hand; what is queued is
// asked of the queue itself, so that what a queue forgot is simply fed again.

import { tryParseArchiveId } from "@actions-archive/core/stages";
import { listUnrecordedAttempts } from "@actions-archive/database/attempts";
import { listDueLogs } from "@actions-archive/database/due-logs";
import { listUnloadedJobs } from "@actions-archive/database/obligations";

import type { Fetcher } from "./fetcher.ts";

/** Of one credential: enough to keep every log-worker busy until the next feeding, few enough that what is urgent comes soon. */
const mostQueuedLogs = 300;
const mostQueuedLoads = 500;

/**
 * Queues what is due: logs to archive, rows and run records to load. Idempotent; any process may call it at any time.
 * @returns how many logs it queued that were not queued before, and how many loads are due.
 */
export async function feed({
  db,
  archiveQueue,
  loadQueue,
}: Pick<Fetcher, "db" | "archiveQueue" | "loadQueue">): Promise<{ logs: number; loads: number }> {
  const queued = (await archiveQueue.ids()).map(tryParseArchiveId).filter((id) => id !== undefined);
  const [jobs, attempts, logs] = await Promise.all([
    listUnloadedJobs(db, mostQueuedLoads),
    listUnrecordedAttempts(db, mostQueuedLoads),
    listDueLogs(db, { queued, mostPerCredential: mostQueuedLogs }),
  ]);
  await loadQueue.add([
    ...jobs.map((job_id) => ({ kind: "job", job_id }) as const),
    ...attempts.map(({ run_id, run_attempt }) => ({ kind: "run", run_id, run_attempt }) as const),
  ]);
  await archiveQueue.add(logs.map((job_id) => ({ job_id })));
  return { logs: logs.length, loads: jobs.length + attempts.length };
}
