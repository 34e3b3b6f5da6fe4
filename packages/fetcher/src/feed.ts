// The feeder: from the ledger to the queues. The ledger is the backlog, the queues hold the work at hand; adding what is
// already queued does nothing, and what a queue forgot is simply fed again.

import { listUnrecordedAttempts } from "@actions-archive/database/attempts";
import { listDueLogs, listUnloadedJobs } from "@actions-archive/database/obligations";

import type { Fetcher } from "./fetcher.ts";

/** Enough to keep every log-worker busy until the next feeding, few enough to lose nothing by losing the queue. */
const mostQueuedLogs = 300;
const mostQueuedLoads = 500;

/** Queues what is due: logs to archive, rows and run records to load. Idempotent; any process may call it at any time. */
export async function feed({
  db,
  archiveQueue,
  loadQueue,
}: Pick<Fetcher, "db" | "archiveQueue" | "loadQueue">): Promise<{ logs: number; loads: number }> {
  const [jobs, attempts, logs] = await Promise.all([
    listUnloadedJobs(db, mostQueuedLoads),
    listUnrecordedAttempts(db, mostQueuedLoads),
    listDueLogs(db, mostQueuedLogs),
  ]);
  await loadQueue.add([
    ...jobs.map((job_id) => ({ kind: "job", job_id }) as const),
    ...attempts.map(({ run_id, run_attempt }) => ({ kind: "run", run_id, run_attempt }) as const),
  ]);
  await archiveQueue.add(logs.map((job_id) => ({ job_id })));
  return { logs: logs.length, loads: jobs.length + attempts.length };
}
