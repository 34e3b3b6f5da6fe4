// Loads rows of jobs and steps from the ledger's job objects, so that a job can be queried before its log is archived.

import { PermanentError } from "@actions-archive/core/errors";
import { transact } from "@actions-archive/database/connection/open-database";
import { lockUnloadedJobs, markRowsLoaded } from "@actions-archive/database/ledger/log-jobs";
import { failLog } from "@actions-archive/database/ledger/log-states";
import { upsertJobs } from "@actions-archive/database/rows/rows";

import type { RowWriter } from "../loader.ts";

/**
 * Loads the rows of these jobs in one transaction. If a row is refused, jobs are loaded one by one, and the refused one becomes
 * `unloadable`. Idempotent.
 */
export async function loadJobs(loader: RowWriter, jobIds: readonly number[]): Promise<void> {
  try {
    await loadTogether(loader, jobIds);
  } catch (error) {
    if (!(error instanceof PermanentError)) throw error;
    if (jobIds.length === 1) return refuse(loader, jobIds, error);
    for (const jobId of jobIds) await loadJobs(loader, [jobId]);
  }
}

async function loadTogether({ db }: RowWriter, jobIds: readonly number[]): Promise<void> {
  await transact(db, async (trx) => {
    // Locked, so that an object that improves meanwhile is loaded after this one and not lost.
    const jobs = await lockUnloadedJobs(trx, jobIds);
    await upsertJobs(
      trx,
      jobs.flatMap(({ objects, ...job }) => objects.map((object) => ({ ...job, object }))),
    );
    await markRowsLoaded(
      trx,
      jobs.map(({ job_id }) => job_id),
    );
  });
}

async function refuse({ db, log }: RowWriter, jobIds: readonly number[], error: PermanentError): Promise<void> {
  for (const jobId of jobIds) {
    log.error({ err: error, jobId }, "row refused");
    await failLog(db, jobId, "unloadable", error.message);
    await markRowsLoaded(db, [jobId]);
  }
}
