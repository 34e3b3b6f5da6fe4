// Finds the location of a job's log, or the reason why there is none to print.

import { PermanentError } from "@actions-archive/core/errors";
import { type ArchivedLogLocation, findLog } from "@actions-archive/database/audit/logs";
import type { Database } from "@actions-archive/database/connection/open-database";
import { findLogJob } from "@actions-archive/database/ledger/log-jobs";

export type FoundLog = ArchivedLogLocation & { readonly log_key: string };

/** @throws PermanentError `usage/invalid` that names the state of a log that is not archived, or that the job is unknown. */
export async function findArchivedLog(db: Database, jobId: number): Promise<FoundLog> {
  const location = await findLog(db, jobId);
  if (location?.log_key != null) return { ...location, log_key: location.log_key };
  const job = await findLogJob(db, jobId);
  if (location === undefined && job === undefined)
    throw new PermanentError(
      "usage/invalid",
      `No job ${jobId} is known. Its repository may not be archived, or its run not listed yet: actions-archive status`,
    );
  const state = location?.log_state ?? job?.log_state ?? "pending";
  const reason = location?.log_reason ?? job?.log_reason;
  const original = location?.copied_from_job_id ?? null;
  const remedy =
    original === null ? "" : `. It is the log of job ${original}, of an earlier attempt: actions-archive logs ${original}`;
  throw new PermanentError(
    "usage/invalid",
    `The log of job ${jobId}${job ? ` of run ${job.run_id} in ${job.full_name}` : ""} is ${state}${reason ? `: ${reason}` : ""}${remedy}`,
  );
}
