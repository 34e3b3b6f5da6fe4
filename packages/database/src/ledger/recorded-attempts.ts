// Listed attempts and their run records: the content of a record, and the attempts without one.

import type { Database } from "../connection/open-database.ts";

/** Listed attempts without a run record whose jobs are all in the ledger. */
export async function listUnrecordedAttempts(db: Database, limit: number): Promise<{ run_id: number; run_attempt: number }[]> {
  return db
    .selectFrom("archive.attempts")
    .select(["run_id", "run_attempt"])
    .where("state", "=", "listed")
    .where("record_key", "is", null)
    .orderBy("run_id")
    .limit(limit)
    .execute();
}

export type AttemptSnapshot = {
  repository_id: number;
  full_name: string;
  object: unknown;
  listed_at: Date;
  /** Number of jobs in its final listing, and those of them that were not completed. */
  listed_jobs: number;
  missing_job_ids: number[];
  /** The completed ones, each with every object with facts of its own, and the source and time of the fullest. */
  jobs: { job_id: number; objects: unknown[]; source: string; received_at: Date }[];
};

/** Content of an attempt's run record. Undefined until the attempt is listed. */
export async function findListedAttempt(
  db: Database,
  attempt: { run_id: number; run_attempt: number },
): Promise<AttemptSnapshot | undefined> {
  const row = await db
    .selectFrom("archive.attempts")
    .innerJoin("archive.repositories", "archive.repositories.repository_id", "archive.attempts.repository_id")
    .select([
      "archive.attempts.repository_id",
      "archive.attempts.object",
      "archive.attempts.listed_at",
      "archive.attempts.listed_jobs",
      "archive.attempts.missing_job_ids",
      "archive.repositories.full_name",
    ])
    .where("run_id", "=", attempt.run_id)
    .where("run_attempt", "=", attempt.run_attempt)
    .where("state", "=", "listed")
    .executeTakeFirst();
  if (row?.listed_at == null) return undefined;
  const jobs = await db
    .selectFrom("archive.log_jobs")
    .select(["job_id", "object", "other_objects", "object_source as source", "object_received_at as received_at"])
    .where("run_id", "=", attempt.run_id)
    .where("run_attempt", "<=", attempt.run_attempt)
    .where("last_listed_attempt", ">=", attempt.run_attempt)
    .orderBy("job_id")
    .execute();
  return {
    ...row,
    listed_at: row.listed_at,
    listed_jobs: row.listed_jobs ?? jobs.length,
    jobs: jobs.map(({ object, other_objects, ...job }) => ({ ...job, objects: [object, ...other_objects] })),
  };
}

export async function markAttemptRecorded(
  db: Database,
  attempt: { run_id: number; run_attempt: number },
  recordKey: string,
): Promise<void> {
  await db
    .updateTable("archive.attempts")
    .set({ record_key: recordKey })
    .where("run_id", "=", attempt.run_id)
    .where("run_attempt", "=", attempt.run_attempt)
    .execute();
}
