// Writes the state of a job's log: deferred, failed or terminal. A terminal state changes only from absent to archived, and to
// removed.

import type { FailedReason } from "@actions-archive/core/states";
import { sql } from "kysely";

import { actorOf, type Ascription } from "../connection/actor.ts";
import { type Database, transact } from "../connection/open-database.ts";
import { unnest } from "../connection/unnest.ts";
import { makeCopiesDue } from "./earlier-attempts.ts";
import { defaultRetentionDays } from "./log-jobs.ts";

/** Where GitHub's object names no end, the expiry is unknown; the log is not retried indefinitely. */
const expiry = sql<Date>`coalesce(log_jobs.expires_at, log_jobs.first_seen_at + make_interval(days => ${defaultRetentionDays}))`;

/**
 * Defers the log by `seconds`; its state stays. The recheck of a log in a terminal state is deferred alike, and ends once the log has
 * expired.
 */
export async function deferLog(db: Database, jobId: number, seconds: number, detail: string): Promise<void> {
  const later = sql<Date>`now() + make_interval(secs => ${seconds})`;
  await db
    .updateTable("archive.log_jobs")
    .set({
      due_at: later,
      recheck_at: sql<Date | null>`case when recheck_at is not null and ${expiry} > now() then ${later} end`,
      log_detail: detail,
      tries: sql<number>`tries + 1`,
    })
    .where("job_id", "=", jobId)
    .where((eb) => eb.or([eb("log_state", "in", ["pending", "failed"]), eb("recheck_at", "is not", null)]))
    .execute();
}

/** The log was read without an end marker: it is read again in `seconds`, and then stored as it is. */
export async function deferIncompleteLog(db: Database, jobId: number, seconds: number, detail: string): Promise<void> {
  await deferLog(db, jobId, seconds, detail);
  await db
    .updateTable("archive.log_jobs")
    .set({ incomplete_read_at: sql<Date>`now()` })
    .where("job_id", "=", jobId)
    .where("incomplete_read_at", "is", null)
    .execute();
}

export type UnconfirmedAnswer = { readonly answer: string; readonly at: Date };

/** Defers the log until a second answer confirms or contradicts this one. `undefined` clears an answer that proved nothing. */
export async function deferUntilConfirmed(
  db: Database,
  jobId: number,
  { unconfirmed, seconds, detail }: { unconfirmed: UnconfirmedAnswer | undefined; seconds: number; detail: string },
): Promise<void> {
  await deferLog(db, jobId, seconds, detail);
  await db
    .updateTable("archive.log_jobs")
    .set({ unconfirmed_answer: unconfirmed?.answer ?? null, unconfirmed_at: unconfirmed?.at ?? null })
    .where("job_id", "=", jobId)
    .execute();
}

/** Makes pending logs with an unconfirmed absence due now. Idempotent; the required age of an answer is measured from the first. */
export async function makeUnconfirmedDue(db: Database): Promise<void> {
  await db
    .updateTable("archive.log_jobs")
    .set({ due_at: sql<Date>`now()` })
    .where("log_state", "=", "pending")
    .where("unconfirmed_answer", "is not", null)
    .where("due_at", ">", sql<Date>`now()`)
    .execute();
}

/**
 * Ends the recheck of a log in a terminal state. It is checked an hour and a day after the decision, and an absent one a last time two
 * days before its expiry, because an outage of GitHub may last for hours.
 */
export async function finishRecheck(db: Database, jobId: number): Promise<void> {
  const dayLater = sql`decided_at + interval '1 day'`;
  const lastTime = sql`${expiry} - interval '2 days'`;
  await db
    .updateTable("archive.log_jobs")
    .set({
      recheck_at: sql<Date | null>`case
        when ${dayLater} > now() and ${expiry} > now() then ${dayLater}
        when log_state = 'absent' and ${lastTime} > now() then ${lastTime}
      end`,
    })
    .where("job_id", "=", jobId)
    .execute();
}

const day = 24 * 60 * 60;

/**
 * Records that the download failed. The log is retried daily until its expiry, a last time then, and monthly after that; a log that is
 * too large only by `retry`. A terminal state never changes to failed: a failed recheck is repeated a day later.
 */
export async function failLog(db: Database, jobId: number, reason: FailedReason, detail: string): Promise<void> {
  const dueAt =
    reason === "too_large"
      ? sql<Date>`'infinity'::timestamptz`
      : sql<Date>`case
          when expires_at <= now() then now() + interval '30 days'
          else least(now() + make_interval(secs => ${day}), greatest(coalesce(expires_at, 'infinity'), now() + interval '1 hour'))
        end`;
  const { numUpdatedRows } = await db
    .updateTable("archive.log_jobs")
    .set({
      log_state: "failed",
      log_reason: reason,
      log_detail: detail,
      due_at: dueAt,
      tries: sql<number>`tries + 1`,
      decided_at: sql<Date>`now()`,
    })
    .where("job_id", "=", jobId)
    .where("log_state", "in", ["pending", "failed"])
    .executeTakeFirst();
  if (numUpdatedRows === 0n) return deferLog(db, jobId, day, detail);
  await makeCopiesDue(db, [jobId]);
}

/** The record is in the store and its load is queued: the log is not due for a minute, in which the loader loads it. */
export async function recordWrittenRecord(db: Database, jobId: number, recordKey: string): Promise<void> {
  await db
    .updateTable("archive.log_jobs")
    .set({ record_key: recordKey, due_at: sql<Date>`now() + interval '60 seconds'` })
    .where("job_id", "=", jobId)
    .where("log_state", "in", ["pending", "failed"])
    .execute();
}

/**
 * Copies the terminal states of these jobs' logs from `archive.logs`, which has the record in force. Archived outranks absent; an
 * archived log can only become removed. A log that is deleted, empty or without timestamps is rechecked an hour later, then by
 * `finishRecheck`. Call it after `upsertLogs`, in the same transaction. Idempotent.
 */
export async function recordTerminalStates(trx: Database, jobIds: readonly number[]): Promise<void> {
  await sql`
    update archive.log_jobs
    set
      log_state = logs.log_state,
      log_reason = logs.log_reason,
      record_key = logs.record_key,
      extraction_version = coalesce(logs.extraction_version, 0),
      recorded_steps = logs.object_steps,
      log_detail = null,
      unconfirmed_answer = null,
      unconfirmed_at = null,
      decided_at = now(),
      recheck_at = case
        when not (coalesce(logs.log_reason in ('deleted', 'empty'), false) or 'no_timestamps' = any(logs.log_flags)) then null
        when log_jobs.log_state = logs.log_state then recheck_at
        when ${expiry} > now() then now() + interval '1 hour'
      end
    from archive.logs
    where log_jobs.job_id = any(${sql.val(jobIds)}::bigint[])
      and logs.job_id = log_jobs.job_id
      and (log_jobs.log_state <> 'archived' or logs.log_state = 'archived' or logs.log_reason = 'removed')
      and (log_detail is not null
        or (log_jobs.log_state, log_jobs.log_reason, log_jobs.record_key, log_jobs.extraction_version, recorded_steps)
          is distinct from
            (logs.log_state, logs.log_reason, logs.record_key, coalesce(logs.extraction_version, 0), logs.object_steps))
  `.execute(trx);
  await makeCopiesDue(trx, jobIds);
}

export type RetryChoice = {
  /** If empty, every job. */
  readonly jobIds?: readonly number[];
  readonly reason?: FailedReason | undefined;
  /** owner/name, case-insensitive. */
  readonly repository?: string | undefined;
};

export type RetriedLog = { job_id: number; repository: string; reason: string | null };

/**
 * Makes failed logs pending and due now, including those that are too large, so that a pass waits for them. A job whose rows were
 * refused is loaded again. Each is recorded in archive.retries. Idempotent.
 * @returns the logs made due, by job id, with the reason of their failure.
 */
export async function retryFailedLogs(
  db: Database,
  { jobIds, reason, repository }: RetryChoice,
  ascription: Ascription = {},
): Promise<RetriedLog[]> {
  return transact(db, async (trx) => {
    const failed = await trx
      .selectFrom("archive.log_jobs")
      .innerJoin("archive.repositories", "archive.repositories.repository_id", "archive.log_jobs.repository_id")
      .select(["job_id", "archive.log_jobs.repository_id", "full_name as repository", "log_reason as reason"])
      .where("log_state", "=", "failed")
      .$if(jobIds !== undefined, (query) => query.where(sql<boolean>`job_id = any(${sql.val(jobIds)}::bigint[])`))
      .$if(reason !== undefined, (query) => query.where("log_reason", "=", reason ?? null))
      .$if(repository !== undefined, (query) => query.where(sql<boolean>`lower(full_name) = lower(${repository ?? null}::text)`))
      .orderBy("job_id")
      .forNoKeyUpdate()
      .execute();
    await trx
      .updateTable("archive.log_jobs")
      .set({
        log_state: "pending",
        log_reason: null,
        due_at: sql<Date>`now()`,
        rows_loaded_at: sql<Date | null>`case when log_reason = 'unloadable' then null else rows_loaded_at end`,
      })
      .where(sql<boolean>`job_id = any(${sql.val(failed.map(({ job_id }) => job_id))}::bigint[])`)
      .execute();
    await recordRetries(trx, failed, ascription);
    return failed.map(({ repository_id: _id, ...log }) => log);
  });
}

type FailedLog = Pick<RetriedLog, "job_id" | "reason"> & { repository_id: number };

async function recordRetries(
  trx: Database,
  failed: readonly FailedLog[],
  { by: named, reason = null }: Ascription,
): Promise<void> {
  if (failed.length === 0) return;
  const { by, os_user } = actorOf(named);
  const rows = failed.map((log) => ({ job_id: log.job_id, repository_id: log.repository_id, failed_for: log.reason }));
  await sql`
    insert into archive.retries (job_id, repository_id, failed_for, by, os_user, reason)
    select job_id, repository_id, failed_for, ${by}::text, ${os_user}::text, ${reason}::text
    from ${unnest<(typeof rows)[number]>({ job_id: "bigint", repository_id: "bigint", failed_for: "text" }, rows)}
    order by job_id
  `.execute(trx);
}

export type LogStatus = { job_id: number; repository: string; run_id: number; log_state: string; log_reason: string | null };

/** States of the logs of these jobs; unknown jobs are omitted. */
export async function listLogStatuses(db: Database, jobIds: readonly number[]): Promise<LogStatus[]> {
  return db
    .selectFrom("archive.log_jobs")
    .innerJoin("archive.repositories", "archive.repositories.repository_id", "archive.log_jobs.repository_id")
    .select(["job_id", "full_name as repository", "run_id", "log_state", "log_reason"])
    .where(sql<boolean>`job_id = any(${sql.val(jobIds)}::bigint[])`)
    .orderBy("job_id")
    .execute();
}
