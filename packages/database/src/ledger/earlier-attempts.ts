// Earlier attempts of a job's run: whether all are known, and which of their jobs this one is a copy of.

import type { LogState } from "@actions-archive/core/states";
import { sql } from "kysely";

import type { Database } from "../connection/open-database.ts";
import { asFields, instant } from "../rows/job-rows.ts";

export type EarlierAttempts = {
  /** Earlier attempts whose jobs the ledger has, or will never have. */
  settled: number;
  /** Earlier attempts in the ledger. */
  known: number;
  /** When the job's own attempt began; null until that attempt was fetched. */
  startedAt: Date | null;
};

/** The ledger's state of the attempts before a job's own. A copy is certain only once all of them are settled. */
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

export type Original = { job_id: number; log_state: LogState; log_reason: string | null };

/**
 * Finds the job of an earlier attempt of the same run that this one is a copy of: same name and the same non-null runner, start and
 * end. "Re-run failed jobs" lists the passed jobs again under new ids. An archived one is preferred, then the earliest.
 */
export async function findOriginal(db: Database, jobId: number): Promise<Original | undefined> {
  const row = await db
    .selectFrom("archive.log_jobs as copy")
    .innerJoin("archive.log_jobs as original", (join) =>
      join
        .onRef("original.run_id", "=", "copy.run_id")
        .onRef("original.run_attempt", "<", "copy.run_attempt")
        .onRef("original.job_name", "=", "copy.job_name")
        .onRef("original.runner_name", "=", "copy.runner_name")
        .onRef("original.started_at", "=", "copy.started_at")
        .onRef("original.completed_at", "=", "copy.completed_at"),
    )
    .select(["original.job_id", "original.log_state", "original.log_reason"])
    .where("copy.job_id", "=", jobId)
    .where("original.runner_name", "!=", "")
    .orderBy((eb) => eb("original.log_state", "=", "archived"), "desc")
    .orderBy("original.run_attempt")
    .orderBy("original.job_id")
    .limit(1)
    .executeTakeFirst();
  return row && { ...row, log_state: row.log_state as LogState };
}

/**
 * Makes the pending copies of these jobs due now, since their original has ended. A copy that another transaction has locked is skipped
 * and waits for its own retry.
 */
export async function makeCopiesDue(db: Database, jobIds: readonly number[]): Promise<void> {
  await sql`
    update archive.log_jobs set due_at = now()
    where job_id in (
      select copy.job_id
      from archive.log_jobs as original
      join archive.log_jobs as copy using (run_id, job_name, runner_name, started_at, completed_at)
      where original.job_id = any(${sql.val(jobIds)}::bigint[]) and original.runner_name <> ''
        and copy.run_attempt > original.run_attempt and copy.log_state = 'pending' and copy.due_at > now()
      for no key update of copy skip locked
    )
  `.execute(db);
}
