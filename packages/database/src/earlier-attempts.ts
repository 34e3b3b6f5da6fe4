// What came before a job in its run: whether all of it is known, and which job of an earlier attempt this one is a copy of.

import type { LogState } from "@actions-archive/core/states";

import { asFields, instant } from "./job-rows.ts";
import type { Database } from "./open-database.ts";

export type EarlierAttempts = {
  /** Earlier attempts whose jobs the ledger has, or will never have. */
  settled: number;
  /** Earlier attempts that the ledger knows. */
  known: number;
  /** When the job's own attempt began; null while the run was not seen in that attempt. */
  startedAt: Date | null;
};

/** What the ledger knows of the attempts before a job's own. A copy can only be told for sure when all of them are settled. */
export async function findEarlierAttempts(
  db: Database,
  { run_id, run_attempt }: { run_id: number; run_attempt: number },
): Promise<EarlierAttempts> {
  const attempts = await db
    .selectFrom("archive.attempts")
    .select(["run_attempt", "state", "object"])
    .where("run_id", "=", run_id)
    .where("run_attempt", "<=", run_attempt)
    .execute();
  const earlier = attempts.filter((attempt) => attempt.run_attempt < run_attempt);
  const own = attempts.find((attempt) => attempt.run_attempt === run_attempt);
  const startedAt = instant(asFields(own?.object)["run_started_at"]);
  return {
    settled: earlier.filter(({ state }) => state !== "open").length,
    known: earlier.length,
    startedAt: startedAt === null ? null : new Date(startedAt),
  };
}

export type Twin = { job_id: number; log_state: LogState; log_reason: string | null };

/**
 * The job of an earlier attempt of the same run that this one is a copy of: same name and the same non-null runner, start
 * and end. "Re-run failed jobs" lists the passed jobs again under new ids.
 */
export async function findTwin(db: Database, jobId: number): Promise<Twin | undefined> {
  const row = await db
    .selectFrom("archive.obligations as copy")
    .innerJoin("archive.obligations as twin", (join) =>
      join
        .onRef("twin.run_id", "=", "copy.run_id")
        .onRef("twin.run_attempt", "<", "copy.run_attempt")
        .onRef("twin.job_name", "=", "copy.job_name")
        .onRef("twin.runner_name", "=", "copy.runner_name")
        .onRef("twin.started_at", "=", "copy.started_at")
        .onRef("twin.completed_at", "=", "copy.completed_at"),
    )
    .select(["twin.job_id", "twin.log_state", "twin.log_reason"])
    .where("copy.job_id", "=", jobId)
    .where("twin.runner_name", "!=", "")
    .orderBy("twin.run_attempt")
    .orderBy("twin.job_id")
    .limit(1)
    .executeTakeFirst();
  return row && { ...row, log_state: row.log_state as LogState };
}
