// Reads of the auditor's log rows.

import type { Database } from "../connection/open-database.ts";

export type ArchivedLogLocation = {
  log_state: string;
  log_reason: string | null;
  log_key: string | null;
  log_version_id: string | null;
  stored_bytes: number | null;
  raw_bytes: number | null;
  record_key: string;
  /** The job whose log this is, if the reason is `copied`. */
  copied_from_job_id: number | null;
};

/** Where a job's log is, or why there is none. Undefined if no record of the job is loaded. */
export async function findLog(db: Database, jobId: number): Promise<ArchivedLogLocation | undefined> {
  return db
    .selectFrom("archive.logs")
    .select([
      "log_state",
      "log_reason",
      "log_key",
      "log_version_id",
      "stored_bytes",
      "raw_bytes",
      "record_key",
      "copied_from_job_id",
    ])
    .where("job_id", "=", jobId)
    .executeTakeFirst();
}

export type LogStep = { step_number: number; step_name: string | null; conclusion: string | null };

/** Steps of a job as GitHub listed them, by number. */
export async function listSteps(db: Database, jobId: number): Promise<LogStep[]> {
  return db
    .selectFrom("archive.steps")
    .select(["step_number", "step_name", "conclusion"])
    .where("job_id", "=", jobId)
    .orderBy("step_number")
    .execute();
}

export type StepSection = { step_number: number; first_line: number; line_count: number; raw_start: number; raw_bytes: number };

/** Lines of a step in its job's log; undefined if none are known to be its own. */
export async function findSection(db: Database, jobId: number, stepNumber: number): Promise<StepSection | undefined> {
  return db
    .selectFrom("archive.sections")
    .select(["step_number", "first_line", "line_count", "raw_start", "raw_bytes"])
    .where("job_id", "=", jobId)
    .where("step_number", "=", stepNumber)
    .executeTakeFirst();
}

export type JobOfRun = { job_id: number; job_name: string | null; conclusion: string | null };

/** The jobs of a run's last listed attempt, in the order in which they started; empty if no completed job of the run is known. */
export async function listJobsOfRun(db: Database, runId: number): Promise<JobOfRun[]> {
  return db
    .selectFrom("archive.log_jobs")
    .select(["job_id", "job_name", "conclusion"])
    .where("run_id", "=", runId)
    .where("last_listed_attempt", "=", (eb) =>
      eb
        .selectFrom("archive.log_jobs")
        .select((max) => max.fn.max("last_listed_attempt").as("attempt"))
        .where("run_id", "=", runId),
    )
    .orderBy("started_at")
    .orderBy("job_id")
    .execute();
}

/** A completed job by its id; undefined if the ledger does not have it. */
export async function findJobOfRun(db: Database, jobId: number): Promise<JobOfRun | undefined> {
  return db
    .selectFrom("archive.log_jobs")
    .select(["job_id", "job_name", "conclusion"])
    .where("job_id", "=", jobId)
    .executeTakeFirst();
}
