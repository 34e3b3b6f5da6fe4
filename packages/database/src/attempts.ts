// Attempts of runs: which of them still owe a listing of their jobs, and which a run record.

import { sql } from "kysely";

import { asFields, text } from "./job-rows.ts";
import { defaultRetentionDays } from "./obligations.ts";
import type { Database } from "./open-database.ts";
import type { Window } from "./windows.ts";

export type LedgerAttempt = {
  run_id: number;
  run_attempt: number;
  newest_attempt: number;
  status: string | null;
  visits: number;
  first_seen_at: Date;
  run_created_at: Date;
};

/**
 * A webhook told of an attempt, and others tell of its jobs: it is not visited before `seconds` have passed. The visit is for
 * what no webhook told. A delivery from before the end (`isOver` false) that comes after it puts nothing off. Idempotent.
 */
export async function leaveToWebhooks(
  db: Database,
  attempt: { run_id: number; run_attempt: number },
  { isOver, seconds }: { readonly isOver: boolean; readonly seconds: number },
): Promise<void> {
  const isNewest = sql<boolean>`run_attempt = (select run_attempt from archive.runs where runs.run_id = attempts.run_id)`;
  await db
    .updateTable("archive.attempts")
    .set({
      told_at: sql<Date>`now()`,
      visit_due_at: sql<Date>`greatest(visit_due_at, now() + make_interval(secs => ${seconds}))`,
    })
    .where("run_id", "=", attempt.run_id)
    .where("run_attempt", "=", attempt.run_attempt)
    .where("state", "=", "open")
    .$if(!isOver, (query) => query.where(sql<boolean>`status is distinct from 'completed'`).where(isNewest))
    .execute();
}

/**
 * Open attempts of a repository, newest run first; without those that a backfill found and still looks after.
 * @param onlyDue leaves out those whose next visit is later.
 */
export async function listOpenAttempts(
  db: Database,
  repositoryId: number,
  { onlyDue, limit }: { onlyDue: boolean; limit: number },
): Promise<LedgerAttempt[]> {
  return openAttempts(db, repositoryId)
    .$if(onlyDue, (query) => query.where("archive.attempts.visit_due_at", "<=", sql<Date>`now()`))
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
    .limit(limit)
    .execute();
}

/** Open attempts of runs created in `window` whose visit is due: what expires first, and at the end what must have expired. */
export async function listAttemptsByExpiry(
  db: Database,
  repositoryId: number,
  { start, end }: Window,
  limit: number,
): Promise<LedgerAttempt[]> {
  return openAttempts(db, repositoryId)
    .innerJoin("archive.repositories", "archive.repositories.repository_id", "archive.attempts.repository_id")
    .where("archive.attempts.visit_due_at", "<=", sql<Date>`now()`)
    .where("archive.runs.created_at", ">=", start)
    .where("archive.runs.created_at", "<", end)
    .orderBy(sql`runs.created_at + make_interval(days => coalesce(log_retention_days, ${defaultRetentionDays})) > now()`, "desc")
    .orderBy("archive.runs.created_at")
    .orderBy("archive.attempts.run_attempt")
    .limit(limit)
    .execute();
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
      "archive.attempts.visits",
      "archive.attempts.first_seen_at",
      "archive.runs.created_at as run_created_at",
    ])
    .where("archive.attempts.repository_id", "=", repositoryId)
    .where("archive.attempts.state", "=", "open");
}

export type Visit =
  /** Its jobs were listed by a listing that began after it completed. */
  | { readonly state: "listed"; readonly jobs: number; readonly object?: unknown }
  /** Still running, or its jobs lag behind: look again later. */
  | { readonly state: "open"; readonly againInSeconds: number; readonly object?: unknown }
  /** It vanished before its jobs were listed, or never completed: a closed gap. */
  | { readonly state: "gone" | "never_completed" };

/** Writes down what a visit found. A listed attempt never becomes open again. */
export async function finishVisit(db: Database, attempt: { run_id: number; run_attempt: number }, visit: Visit): Promise<void> {
  const seen = "object" in visit && visit.object !== undefined ? attemptSeen(visit.object) : {};
  await db
    .updateTable("archive.attempts")
    .set({
      state: visit.state,
      ...(visit.state === "open" ? {} : { sealed_in: null }),
      visits: sql<number>`visits + 1`,
      ...seen,
      ...(visit.state === "open" ? { visit_due_at: sql<Date>`now() + make_interval(secs => ${visit.againInSeconds})` } : {}),
      ...(visit.state === "listed"
        ? { listed_at: sql<Date>`now()`, listed_jobs: visit.jobs, missing_jobs: countMissing(attempt, visit.jobs) }
        : {}),
    })
    .where("run_id", "=", attempt.run_id)
    .where("run_attempt", "=", attempt.run_attempt)
    .where("state", "=", "open")
    .execute();
}

// Only completed jobs are in the ledger: what the final listing showed beyond them has no row anywhere, and is a gap.
function countMissing({ run_id, run_attempt }: { run_id: number; run_attempt: number }, listedJobs: number) {
  return sql<number>`greatest(0, ${listedJobs}::integer - (
    select count(*) from archive.obligations
    where obligations.run_id = ${run_id} and ${run_attempt}::integer between obligations.run_attempt and last_listed_attempt))`;
}

/** Listed attempts that have no run record in the store yet and whose jobs have all arrived in the ledger. */
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

export type AttemptStory = {
  repository_id: number;
  full_name: string;
  object: unknown;
  listed_at: Date;
  /** How many jobs its final listing showed. */
  listed_jobs: number;
  /** Those of them that completed, each with every object that says something of its own, and how and when the fullest one came. */
  jobs: { job_id: number; objects: unknown[]; source: string; received_at: Date }[];
};

/** An attempt, for its run record. Undefined until it is listed. */
export async function findListedAttempt(
  db: Database,
  attempt: { run_id: number; run_attempt: number },
): Promise<AttemptStory | undefined> {
  const row = await db
    .selectFrom("archive.attempts")
    .innerJoin("archive.repositories", "archive.repositories.repository_id", "archive.attempts.repository_id")
    .select([
      "archive.attempts.repository_id",
      "archive.attempts.object",
      "archive.attempts.listed_at",
      "archive.attempts.listed_jobs",
      "archive.repositories.full_name",
    ])
    .where("run_id", "=", attempt.run_id)
    .where("run_attempt", "=", attempt.run_attempt)
    .where("state", "=", "listed")
    .executeTakeFirst();
  if (row?.listed_at == null) return undefined;
  const jobs = await db
    .selectFrom("archive.obligations")
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

function attemptSeen(object: unknown): { status: string | null; conclusion: string | null; object: string } {
  const run = asFields(object);
  return { status: text(run["status"]), conclusion: text(run["conclusion"]), object: JSON.stringify(object) };
}
