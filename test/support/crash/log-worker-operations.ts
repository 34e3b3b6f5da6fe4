// The operation of a log-worker: archiving every due log, one after the other.

import { archiveLog } from "@actions-archive/log-worker/archive-log";
import { loadLogWorkerConfig } from "@actions-archive/log-worker/config";
import { openLogWorker } from "@actions-archive/log-worker/start-log-worker";

import type { OpenOperation, Opening } from "./operations.ts";

const { signal } = new AbortController();

export async function openArchiving({ env, resources, log }: Opening): Promise<OpenOperation> {
  const { worker } = await openLogWorker(loadLogWorkerConfig(env), { log, resources });
  const due = await worker.db
    .selectFrom("archive.log_jobs")
    .select("job_id")
    .where("log_state", "=", "pending")
    .orderBy("job_id")
    .execute();
  return {
    count: (counter) => counter.countMethods(worker.loadQueue, ["add"]),
    async perform() {
      const handle = archiveLog(worker);
      for (const job of due) await handle(job, { signal, attempt: 1, isLastAttempt: false });
    },
  };
}
