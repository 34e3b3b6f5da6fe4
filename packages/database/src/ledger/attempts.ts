// Attempts of runs, and which of them still owe a job list or a run record.

import { sql } from "kysely";

import type { Database } from "../connection/open-database.ts";
import { asFields, text } from "../rows/job-rows.ts";
import { attemptFields } from "./attempt-fields.ts";
import { defaultRetentionDays } from "./log-jobs.ts";
import type { Window } from "./windows.ts";

export type LedgerAttempt = {
  run_id: number;
  run_attempt: number;
  newest_attempt: number;
  status: string | null;
  conclusion: string | null;
  /** GitHub's updated_at of the attempt's object; null before it was fetched. */
  run_updated_at: Date | null;
  checks: number;
  check_reason: CheckReason | null;
  check_failures: number;
  same_reason_checks: number;
  /** How long checks have ended with this reason, by the database's clock. */
  same_reason_seconds: number;
  first_seen_at: Date;
  run_created_at: Date;
};

/** Why a check did not close an attempt; the column's comment defines each. */
export type CheckReason =
  | "settling"
  | "lagging"
  | "incomplete"
  | "empty"
  | "unusable"
  | "list_not_found"
  | "run_not_found"
  | "unreadable";

/**
 * Defers the check of an attempt that a webhook reported by `seconds`, since further webhooks report its jobs. The check is for jobs
 * that no webhook reported. A delivery from before the end (`isOver` false) that arrives after it defers nothing. Idempotent.
 */
export async function deferCheckForWebhooks(
  db: Database,
  attempt: { run_id: number; run_attempt: number },
  { isOver, seconds }: { readonly isOver: boolean; readonly seconds: number },
): Promise<void> {
  const isNewest = sql<boolean>`run_attempt = (select run_attempt from archive.runs where runs.run_id = attempts.run_id)`;
  await db
    .updateTable("archive.attempts")
    .set({
      webhook_at: sql<Date>`now()`,
      check_due_at: sql<Date>`greatest(check_due_at, now() + make_interval(secs => ${seconds}))`,
    })
    .where("run_id", "=", attempt.run_id)
    .where("run_attempt", "=", attempt.run_attempt)
    .where("state", "=", "open")
    .$if(!isOver, (query) => query.where(sql<boolean>`status is distinct from 'completed'`).where(isNewest))
    .execute();
}

/**
 * Open attempts of a repository, newest run first, without those that a running backfill checks.
 * @param onlyDue excludes those whose next check is later.
 */
export async function listOpenAttempts(
  db: Database,
  repositoryId: number,
  { onlyDue, limit }: { onlyDue: boolean; limit: number },
): Promise<LedgerAttempt[]> {
  const wanted = openAttempts(db, repositoryId)
    .$if(onlyDue, (query) => query.where("archive.attempts.check_due_at", "<=", sql<Date>`now()`))
    .where((eb) =>
      eb.not(
        eb.exists(
          eb
            .selectFrom("archive.backfills")
            .select("archive.backfills.backfill_id")
            .whereRef("archive.backfills.backfill_id", "=", "archive.runs.backfill_id")
            .where("archive.backfills.state", "in", ["running", "paused"]),
        ),
      ),
    )
    .orderBy("archive.runs.created_at", "desc")
    .orderBy("archive.attempts.run_attempt")
    .limit(limit);
  return asLedgerAttempts(await wanted.execute());
}

/** Open attempts of runs created in `window` whose check is due: by expiry, those that must have expired last. */
export async function listAttemptsByExpiry(
  db: Database,
  repositoryId: number,
  { start, end }: Window,
  limit: number,
): Promise<LedgerAttempt[]> {
  const query = openAttempts(db, repositoryId)
    .innerJoin("archive.repositories", "archive.repositories.repository_id", "archive.attempts.repository_id")
    .where("archive.attempts.check_due_at", "<=", sql<Date>`now()`)
    .where("archive.runs.created_at", ">=", start)
    .where("archive.runs.created_at", "<", end)
    .orderBy(sql`runs.created_at + make_interval(days => coalesce(log_retention_days, ${defaultRetentionDays})) > now()`, "desc")
    .orderBy("archive.runs.created_at")
    .orderBy("archive.attempts.run_attempt")
    .limit(limit);
  return asLedgerAttempts(await query.execute());
}

// A check constraint restricts the column to these words.
function asLedgerAttempts(rows: readonly (Omit<LedgerAttempt, "check_reason"> & { check_reason: string | null })[]) {
  return rows.map((row) => ({ ...row, check_reason: row.check_reason as CheckReason | null }));
}

function openAttempts(db: Database, repositoryId: number) {
  return db
    .selectFrom("archive.attempts")
    .innerJoin("archive.runs", "archive.runs.run_id", "archive.attempts.run_id")
    .select([
      "archive.attempts.run_id",
      "archive.attempts.run_attempt",
      "archive.runs.run_attempt as newest_attempt",
      "archive.attempts.status",
      "archive.attempts.conclusion",
      "archive.attempts.run_updated_at",
      "archive.attempts.checks",
      "archive.attempts.check_reason",
      "archive.attempts.check_failures",
      "archive.attempts.same_reason_checks",
      sql<number>`coalesce(extract(epoch from now() - same_reason_since), 0)::float8`.as("same_reason_seconds"),
      "archive.attempts.first_seen_at",
      "archive.runs.created_at as run_created_at",
    ])
    .where("archive.attempts.repository_id", "=", repositoryId)
    .where("archive.attempts.state", "=", "open");
}

export type CheckOutcome =
  /** All its jobs were listed, by a listing that began after it completed. */
  | {
      readonly state: "listed";
      readonly jobs: number;
      /** Jobs of that listing that are not completed. */
      readonly missingJobIds: readonly number[];
      /** GitHub's ETag of that listing; undefined where it has none. */
      readonly etag?: string | undefined;
      readonly object?: unknown;
    }
  /** Checked again in `againInSeconds`. `reason`: what prevents closing; null while its run is in progress. */
  | {
      readonly state: "open";
      readonly againInSeconds: number;
      readonly reason: CheckReason | null;
      readonly detail?: string | undefined;
      readonly object?: unknown;
    }
  /** Its run was deleted before its jobs were listed, or never completed: a closed gap. */
  | { readonly state: "gone" | "never_completed" };

/** After this number of consecutive failed checks an attempt is a gap of its own, and is checked less often. */
export const maxFailedChecks = 5;

/** Records the result of a check of an open attempt. An attempt in another state is unchanged. */
export async function finishCheck(
  db: Database,
  attempt: { run_id: number; run_attempt: number },
  outcome: CheckOutcome,
): Promise<void> {
  const seen = "object" in outcome && outcome.object !== undefined ? attemptSeen(outcome.object) : {};
  const reason = outcome.state === "open" ? outcome.reason : null;
  const isFailed = reason !== null && reason !== "settling";
  const isSame = sql<boolean>`check_reason is not distinct from ${reason}::text`;
  await db
    .updateTable("archive.attempts")
    .set({
      state: outcome.state,
      ...(outcome.state === "open" ? {} : { sealed_in: null }),
      checks: sql<number>`checks + 1`,
      ...seen,
      check_reason: reason,
      check_detail: outcome.state === "open" ? (outcome.detail ?? null) : null,
      check_failures: isFailed ? sql<number>`check_failures + 1` : 0,
      same_reason_checks: reason === null ? 0 : sql<number>`case when ${isSame} then same_reason_checks + 1 else 1 end`,
      same_reason_since: reason === null ? null : sql<Date>`case when ${isSame} then same_reason_since else now() end`,
      // A job that lags behind its run is for GitHub to complete, and is not a gap of a list.
      incomplete_since:
        isFailed && reason !== "lagging"
          ? sql<Date>`case when check_failures + 1 >= ${maxFailedChecks} then coalesce(incomplete_since, now()) end`
          : null,
      ...(outcome.state === "open" ? { check_due_at: sql<Date>`now() + make_interval(secs => ${outcome.againInSeconds})` } : {}),
      ...(outcome.state === "listed"
        ? {
            listed_at: sql<Date>`now()`,
            listed_jobs: outcome.jobs,
            missing_job_ids: sql<number[]>`${sql.val(outcome.missingJobIds)}::bigint[]`,
            jobs_etag: outcome.etag ?? null,
            confirm_due_at: sql<Date>`now() + interval '1 day'`,
          }
        : {}),
    })
    .where("run_id", "=", attempt.run_id)
    .where("run_attempt", "=", attempt.run_attempt)
    .where("state", "=", "open")
    .execute();
}

/**
 * Removes the attempts above `newestAttempt` that a wrong run object claimed: open ones without any job. If they do exist, the next
 * list that shows the run adds them again. Idempotent.
 */
export async function retractAttempts(db: Database, runId: number, newestAttempt: number): Promise<void> {
  await sql`select archive.retract_attempts(${runId}::bigint, ${newestAttempt}::integer)`.execute(db);
}

/** Reopens attempts closed as gone, because a webhook shows that the run exists. Idempotent. */
export async function reopenGoneAttempts(db: Database, runId: number): Promise<void> {
  await db
    .updateTable("archive.attempts")
    .set({ state: "open", check_due_at: sql<Date>`now()`, sealed_in: null })
    .where("run_id", "=", runId)
    .where("state", "=", "gone")
    .execute();
}

/**
 * Known jobs of an attempt that GitHub's list of it must contain: listed before, or run by a runner. Excluded are check runs, which
 * webhooks report as jobs but no list contains, and jobs whose log is deleted, expired or not a job's.
 */
export async function listKnownJobs(
  db: Database,
  { run_id, run_attempt }: { run_id: number; run_attempt: number },
): Promise<number[]> {
  const rows = await db
    .selectFrom("archive.log_jobs")
    .select("job_id")
    .where("run_id", "=", run_id)
    .where("run_attempt", "<=", run_attempt)
    .where("last_listed_attempt", ">=", run_attempt)
    .where((eb) => eb.or([eb("object_source", "!=", "webhook"), eb("runner_name", "!=", "")]))
    .where(sql<boolean>`coalesce(log_reason, '') <> all(array['deleted', 'not_a_job', 'expired'])`)
    .execute();
  return rows.map(({ job_id }) => job_id);
}

function attemptSeen(object: unknown) {
  const run = asFields(object);
  const fields = attemptFields(object);
  const updatedMs = Date.parse(text(run["updated_at"]) ?? "");
  return {
    status: text(run["status"]),
    conclusion: text(run["conclusion"]),
    ...fields,
    pull_request_numbers: sql<number[] | null>`${sql.val(fields.pull_request_numbers)}::bigint[]`,
    object: JSON.stringify(object),
    run_updated_at: Number.isNaN(updatedMs) ? null : new Date(updatedMs),
  };
}
