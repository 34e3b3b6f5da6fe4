// Reads of the auditor's log rows.

import type { Database } from "./open-database.ts";

export type ArchivedLogPlace = {
  log_state: string;
  log_reason: string | null;
  log_key: string | null;
  log_version_id: string | null;
  stored_bytes: number | null;
};

/** Where a job's log lies, or why there is none. Undefined when no record of the job is loaded. */
export async function findLog(db: Database, jobId: number): Promise<ArchivedLogPlace | undefined> {
  return db
    .selectFrom("archive.logs")
    .select(["log_state", "log_reason", "log_key", "log_version_id", "stored_bytes"])
    .where("job_id", "=", jobId)
    .executeTakeFirst();
}
