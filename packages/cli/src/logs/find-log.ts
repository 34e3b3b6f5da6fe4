// Where a job's log lies, or why it cannot be printed.

import { PermanentError } from "@actions-archive/core/errors";
import { type ArchivedLogLocation, findLog } from "@actions-archive/database/audit/logs";
import type { Database } from "@actions-archive/database/connection/open-database";
import { findLogJob } from "@actions-archive/database/ledger/log-jobs";

export type FoundLog = ArchivedLogLocation & { readonly log_key: string };

/** @throws PermanentError `usage/invalid` that says what became of a log that is not archived, or that no such job is known. */
export async function findArchivedLog(db: Database, jobId: number): Promise<FoundLog> {
  const place = await findLog(db, jobId);
  if (place?.log_key != null) return { ...place, log_key: place.log_key };
  const job = await findLogJob(db, jobId);
  if (place === undefined && job === undefined)
    throw new PermanentError(
      "usage/invalid",
      `No job ${jobId} is known. Its repository may not be archived, or its run not listed yet: actions-archive status`,
    );
  const state = place?.log_state ?? job?.log_state ?? "pending";
  const reason = place?.log_reason ?? job?.log_reason;
  const original = place?.copied_from_job_id ?? null;
  const cure =
    original === null ? "" : `. It is the log of job ${original}, of an earlier attempt: actions-archive logs ${original}`;
  throw new PermanentError(
    "usage/invalid",
    `The log of job ${jobId}${job ? ` of run ${job.run_id} in ${job.full_name}` : ""} is ${state}${reason ? `: ${reason}` : ""}${cure}`,
  );
}
