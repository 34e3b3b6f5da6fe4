// The backlog: one row per completed job, from its first snapshot to the terminal state of its log.

import { createHash } from "node:crypto";

import type { LogState } from "@actions-archive/core/states";
import { sql } from "kysely";

import { type Database, transact } from "../connection/open-database.ts";
import { divideIntoRounds, unnest } from "../connection/unnest.ts";
import { fullnessOf, type JobColumns, jobColumns } from "../rows/job-rows.ts";

export type JobSnapshot = {
  readonly object: unknown;
  readonly source: "listing" | "webhook" | "get";
  /** The attempt whose listing showed it. The object's own run_attempt only echoes the requested attempt. */
  readonly listedAttempt: number;
  /** ISO 8601, if it was received earlier than now, as when it is read from the store. */
  readonly receivedAt?: string | undefined;
};

export type LogJob = {
  job_id: number;
  repository_id: number;
  run_id: number;
  run_attempt: number;
  last_listed_attempt: number;
  full_name: string;
  log_retention_days: number | null;
  youngest_gone_seconds: number | null;
  object: unknown;
  object_source: string;
  object_received_at: Date;
  log_state: LogState;
  log_reason: string | null;
  tries: number;
  first_seen_at: Date;
  incomplete_read_at: Date | null;
  unconfirmed_answer: string | null;
  unconfirmed_at: Date | null;
  /** Also null until it is due. */
  recheck_at: Date | null;
  record_key: string | null;
};

type LogJobColumns = {
  job_id: number;
  repository_id: number;
  run_id: number;
  run_attempt: number;
  job_name: string | null;
  runner_name: string | null;
  conclusion: string | null;
  started_at: string | null;
  completed_at: string | null;
  object: unknown;
  object_source: string;
  object_steps: number;
  contents: readonly number[];
  received_at: string | null;
};

const logJobTypes = {
  job_id: "bigint",
  repository_id: "bigint",
  run_id: "bigint",
  run_attempt: "integer",
  job_name: "text",
  runner_name: "text",
  conclusion: "text",
  started_at: "timestamptz",
  completed_at: "timestamptz",
  object: "json",
  object_source: "text",
  object_steps: "integer",
  contents: "json",
  received_at: "timestamptz",
} as const;

/** Maximum number of further objects kept per job: GitHub sends two or three that differ, and a sender must not fill the ledger. */
const maxOtherObjects = 7;

/** GitHub's default retention of logs, used if its endpoint does not return one. https://docs.github.com/rest/actions/permissions */
export const defaultRetentionDays = 90;

export type JobSnapshotOf = JobSnapshot & { readonly repositoryId: number };

/**
 * Writes completed jobs into the ledger; others are skipped, and their attempt stays open. An object with more facts about steps
 * (`fullnessOf`) replaces one with fewer, never the reverse. Each object with new facts is kept, and makes the job's rows owed again.
 * Idempotent.
 * @returns the number of jobs that the ledger did not have.
 */
export async function recordJobs(db: Database, repositoryId: number, snapshots: readonly JobSnapshot[]): Promise<number> {
  return writeSnapshots(
    db,
    snapshots.map((snapshot) => ({ ...snapshot, repositoryId })),
    false,
  );
}

/** Like `recordJobs`, for any repositories. The caller writes all rows of these jobs in the same transaction, so none are owed. */
export async function recordLoadedJobs(trx: Database, snapshots: readonly JobSnapshotOf[]): Promise<void> {
  await writeSnapshots(trx, snapshots, true);
}

async function writeSnapshots(db: Database, snapshots: readonly JobSnapshotOf[], areLoaded: boolean): Promise<number> {
  const rows = snapshots.map(logJobColumns).filter((row) => row !== undefined);
  if (rows.length === 0) return 0;
  return transact(db, async (trx) => {
    let added = 0;
    for (const round of divideIntoRounds(rows, ({ job_id }) => [job_id])) added += await upsertLogJobs(trx, round, areLoaded);
    return added;
  });
}

// The columns follow the object, and null never replaces a value.
async function upsertLogJobs(trx: Database, rows: readonly LogJobColumns[], areLoaded: boolean): Promise<number> {
  const loadedAt = areLoaded ? sql`now()` : sql`null::timestamptz`;
  const isBetter = sql`excluded.object_steps > log_jobs.object_steps`;
  const isNew = sql`(not excluded.contents <@ log_jobs.contents and cardinality(log_jobs.other_objects) < ${maxOtherObjects})`;
  const follow = (column: string) => {
    const [old, fresh] = [sql.ref(`log_jobs.${column}`), sql.ref(`excluded.${column}`)];
    return sql`${sql.ref(column)} = case when ${isBetter} then coalesce(${fresh}, ${old}) else coalesce(${old}, ${fresh}) end`;
  };
  const followed = ["job_name", "runner_name", "conclusion", "started_at", "completed_at", "expires_at"];
  // xmax is 0 in a row version that no update has replaced: the row is new.
  const { rows: written } = await sql<{ is_new: boolean }>`
    insert into archive.log_jobs (job_id, repository_id, run_id, run_attempt, last_listed_attempt, job_name, runner_name,
      conclusion, started_at, completed_at, object, object_source, object_steps, contents, object_received_at, first_seen_at, expires_at,
      backfill_id, rows_loaded_at)
    select job_id, incoming.repository_id, run_id, run_attempt, run_attempt, job_name, runner_name,
      conclusion, started_at, completed_at, object, object_source, object_steps,
      array(select json_array_elements_text(contents)::bigint), coalesce(received_at, now()), coalesce(received_at, now()),
      completed_at + make_interval(days => coalesce(repositories.log_retention_days, ${defaultRetentionDays})),
      (select backfill_id from archive.runs where runs.run_id = incoming.run_id), ${loadedAt}
    from ${unnest(logJobTypes, rows)}
    join archive.repositories on repositories.repository_id = incoming.repository_id
    order by job_id
    on conflict (job_id) do update set
      run_attempt = least(log_jobs.run_attempt, excluded.run_attempt),
      last_listed_attempt = greatest(log_jobs.last_listed_attempt, excluded.last_listed_attempt),
      ${sql.join(followed.map(follow))},
      object = case when ${isBetter} then excluded.object else log_jobs.object end,
      object_source = case when ${isBetter} then excluded.object_source else log_jobs.object_source end,
      object_received_at = case when ${isBetter} then excluded.object_received_at else log_jobs.object_received_at end,
      object_steps = greatest(log_jobs.object_steps, excluded.object_steps),
      contents = case
        when ${isNew} then array(select unnest(log_jobs.contents) union select unnest(excluded.contents) order by 1)
        else log_jobs.contents
      end,
      other_objects = case
        when not ${isNew} then log_jobs.other_objects
        when ${isBetter} then array_append(log_jobs.other_objects, log_jobs.object)
        else array_append(log_jobs.other_objects, excluded.object)
      end,
      rows_loaded_at = ${loadedAt}
    where excluded.run_attempt < log_jobs.run_attempt
      or excluded.last_listed_attempt > log_jobs.last_listed_attempt
      or ${isBetter}
      or ${isNew}
    returning xmax = 0 as is_new
  `.execute(trx);
  return written.filter(({ is_new }) => is_new).length;
}

function logJobColumns(snapshot: JobSnapshotOf): LogJobColumns | undefined {
  const { repositoryId, object, source, listedAttempt, receivedAt } = snapshot;
  const job = jobColumns(object);
  if (job === undefined || job.status !== "completed") return undefined;
  const { job_id, run_id, job_name, runner_name, conclusion, started_at, completed_at } = job;
  return {
    job_id,
    repository_id: repositoryId,
    run_id,
    run_attempt: listedAttempt,
    job_name,
    runner_name,
    conclusion,
    started_at,
    completed_at,
    object,
    object_source: source,
    object_steps: fullnessOf(job),
    contents: contentsOf(job),
    received_at: receivedAt ?? null,
  };
}

// Hashes of what the rows contain: of the job, without the attempt, which echoes the request, and of each step. Webhooks and listings
// format equal facts differently, and an object without its steps has nothing new.
function contentsOf({ run_attempt: _echoed, steps, ...columns }: JobColumns): number[] {
  return [columns, ...steps].map((piece) => createHash("sha256").update(JSON.stringify(piece)).digest().readUIntBE(0, 6));
}

/** Jobs whose rows are owed to the auditor's tables. */
export async function listUnloadedJobs(db: Database, limit: number): Promise<number[]> {
  const rows = await db
    .selectFrom("archive.log_jobs")
    .select("job_id")
    .where("rows_loaded_at", "is", null)
    .orderBy("job_id")
    .limit(limit)
    .execute();
  return rows.map(({ job_id }) => job_id);
}

export async function findLogJob(db: Database, jobId: number): Promise<LogJob | undefined> {
  const row = await db
    .selectFrom("archive.log_jobs")
    .innerJoin("archive.repositories", "archive.repositories.repository_id", "archive.log_jobs.repository_id")
    .select([
      "job_id",
      "archive.log_jobs.repository_id",
      "run_id",
      "run_attempt",
      "last_listed_attempt",
      "full_name",
      "log_retention_days",
      "youngest_gone_seconds",
      "object",
      "object_source",
      "object_received_at",
      "log_state",
      "log_reason",
      "tries",
      "archive.log_jobs.first_seen_at",
      "incomplete_read_at",
      "unconfirmed_answer",
      "unconfirmed_at",
      sql<Date | null>`case when recheck_at <= now() then recheck_at end`.as("recheck_at"),
      "record_key",
    ])
    .where("job_id", "=", jobId)
    .executeTakeFirst();
  // A check constraint restricts the column to these words.
  return row && { ...row, log_state: row.log_state as LogState };
}

export type UnloadedJob = {
  job_id: number;
  repository_id: number;
  run_attempt: number;
  last_listed_attempt: number;
  /** All received objects with facts of their own. */
  objects: unknown[];
};

/** The jobs among `jobIds` whose rows are owed, locked for the rest of the transaction, in the order of their ids. */
export async function lockUnloadedJobs(trx: Database, jobIds: readonly number[]): Promise<UnloadedJob[]> {
  const rows = await trx
    .selectFrom("archive.log_jobs")
    .select(["job_id", "repository_id", "run_attempt", "last_listed_attempt", "object", "other_objects"])
    .where(sql<boolean>`job_id = any(${sql.val(jobIds)}::bigint[])`)
    .where("rows_loaded_at", "is", null)
    .orderBy("job_id")
    .forNoKeyUpdate()
    .execute();
  return rows.map(({ object, other_objects, ...row }) => ({ ...row, objects: [object, ...other_objects] }));
}

/**
 * Locks the log jobs, in the order of their ids: the first lock of everything that then writes their rows.
 * @returns by job, when the object of the loaded rows was received; jobs whose rows are owed or were refused are excluded.
 */
export async function lockJobs(trx: Database, jobIds: readonly number[]): Promise<Map<number, Date>> {
  const rows = await trx
    .selectFrom("archive.log_jobs")
    .select(["job_id", "object_received_at"])
    .select(sql<boolean>`rows_loaded_at is not null and log_reason is distinct from 'unloadable'`.as("is_loaded"))
    .where(sql<boolean>`job_id = any(${sql.val(jobIds)}::bigint[])`)
    .orderBy("job_id")
    .forNoKeyUpdate()
    .execute();
  return new Map(rows.flatMap(({ job_id, object_received_at, is_loaded }) => (is_loaded ? [[job_id, object_received_at]] : [])));
}

export async function markRowsLoaded(trx: Database, jobIds: readonly number[]): Promise<void> {
  await trx
    .updateTable("archive.log_jobs")
    .set({ rows_loaded_at: sql<Date>`now()` })
    .where(sql<boolean>`job_id = any(${sql.val(jobIds)}::bigint[])`)
    .execute();
}

/** Whether at least `atLeast` records are written but not loaded; refused ones do not count. */
export async function hasUnloadedRecords(db: Database, atLeast = 1): Promise<boolean> {
  const row = await db
    .selectFrom("archive.log_jobs")
    .select("job_id")
    .where("log_state", "in", ["pending", "failed"])
    .where("record_key", "is not", null)
    .where("log_reason", "is distinct from", "unloadable")
    .offset(atLeast - 1)
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}
