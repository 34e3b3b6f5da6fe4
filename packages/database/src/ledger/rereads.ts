// Archived logs that are owed a reread, because a newer extraction knows more, or the job object shows more steps than the record in
// force has.

import { type RawBuilder, sql } from "kysely";

import { withLock } from "../connection/locks.ts";
import { type Database, transact } from "../connection/open-database.ts";
import { lockJobs } from "./log-jobs.ts";

export type RereadChoice = {
  readonly jobIds?: readonly number[] | undefined;
  /** owner/name, case-insensitive. */
  readonly repository?: string | undefined;
  /** Jobs that completed at or after this time, and before `until`. A job without a time always matches. */
  readonly since?: Date | undefined;
  readonly until?: Date | undefined;
};

/** An archived log whose record is loaded, with the ledger's facts about its job. */
export type Reread = {
  job_id: number;
  repository_id: number;
  run_id: number;
  repository: string;
  record_key: string;
  record_version: number;
  record_sha256: string;
  /** The fullest job object received, as JSON. */
  object: unknown;
  object_source: string;
  object_received_at: Date;
  is_owed: boolean;
};

// The only definition of an owed reread. Records of a newer extraction are left to newer programs.
const isArchived = sql<boolean>`(log_jobs.log_state = 'archived'
  and exists (select from archive.logs where logs.job_id = log_jobs.job_id and logs.log_state = 'archived'))`;
const isOlder = (extractionVersion: number) => sql<boolean>`log_jobs.extraction_version < ${extractionVersion}`;
const isFuller = (extractionVersion: number) =>
  sql<boolean>`(log_jobs.object_steps > recorded_steps and log_jobs.extraction_version <= ${extractionVersion})`;
const isOwed = (extractionVersion: number) =>
  sql<boolean>`((${isOlder(extractionVersion)} or ${isFuller(extractionVersion)}) and ${isArchived})`;

/**
 * Jobs whose archived log is owed a reread, newest first (GitHub's ids ascend). For paging, pass the last id of the previous page.
 * @param skipsBackedOff excludes those whose last reread failed and still backs off.
 */
export async function listOwedRereads(
  db: Database,
  extractionVersion: number,
  page: {
    readonly choice?: RereadChoice;
    readonly skipsBackedOff: boolean;
    readonly before?: number | undefined;
    readonly limit: number;
  },
): Promise<number[]> {
  const { choice = {}, skipsBackedOff, before, limit } = page;
  const list = (isDue: RawBuilder<boolean>) =>
    chosen(db, choice)
      .select("log_jobs.job_id")
      .where(isDue)
      .where(isArchived)
      .$if(skipsBackedOff, (query) => query.where(sql<boolean>`coalesce(reread_due_at <= now(), true)`))
      .$if(before !== undefined, (query) => query.where("log_jobs.job_id", "<", before ?? 0))
      .orderBy("log_jobs.job_id", "desc")
      .limit(limit)
      .execute();
  // Separate queries with an index each: with both conditions in one, Postgres expects a third of all jobs and scans the whole ledger.
  const pages = await Promise.all([list(isOlder(extractionVersion)), list(isFuller(extractionVersion))]);
  const jobIds = new Set(pages.flat().map(({ job_id }) => job_id));
  return [...jobIds].toSorted((a, b) => b - a).slice(0, limit);
}

/** Number of selected logs that are owed a reread. */
export async function measureRereads(db: Database, extractionVersion: number, choice: RereadChoice): Promise<number> {
  const { logs } = await chosen(db, choice)
    .where(isOwed(extractionVersion))
    .select(({ fn }) => fn.countAll<number>().as("logs"))
    .executeTakeFirstOrThrow();
  return logs;
}

function chosen(db: Database, { jobIds, repository, since, until }: RereadChoice) {
  return db
    .selectFrom("archive.log_jobs as log_jobs")
    .$if(jobIds !== undefined, (query) => query.where(sql<boolean>`log_jobs.job_id = any(${sql.val(jobIds)}::bigint[])`))
    .$if(repository !== undefined, (query) =>
      query.where(sql<boolean>`log_jobs.repository_id in (
        select repository_id from archive.repositories where lower(full_name) = lower(${repository ?? null}::text))`),
    )
    .$if(since !== undefined, (query) => query.where(sql<boolean>`coalesce(completed_at >= ${since ?? null}, true)`))
    .$if(until !== undefined, (query) => query.where(sql<boolean>`coalesce(completed_at < ${until ?? null}, true)`));
}

export type RereadCounts = {
  /** Archived logs that an older extraction read. */
  older_extraction: number;
  /** Archived logs whose job object has more steps now; some are counted in both. */
  fuller_object: number;
  /** Of both, those whose last reread failed. */
  failing: number;
};

export async function countRereads(db: Database, extractionVersion: number): Promise<RereadCounts> {
  const { rows } = await sql<RereadCounts>`
    select
      (count(*) filter (where ${isOlder(extractionVersion)}))::int as older_extraction,
      (count(*) filter (where ${isFuller(extractionVersion)}))::int as fuller_object,
      (count(*) filter (where reread_problem is not null))::int as failing
    from archive.log_jobs as log_jobs
    where ${isOwed(extractionVersion)}
  `.execute(db);
  return rows[0] ?? { older_extraction: 0, fuller_object: 0, failing: 0 };
}

export type RereadProblem = { job_id: number; repository: string; problem: string; tries: number; next_try_at: Date | null };

/** Logs that are owed a reread and could not be read, newest first. */
export async function listRereadProblems(db: Database, extractionVersion: number, limit: number): Promise<RereadProblem[]> {
  return db
    .selectFrom("archive.log_jobs as log_jobs")
    .innerJoin("archive.repositories as repositories", "repositories.repository_id", "log_jobs.repository_id")
    .select(["job_id", "full_name as repository", "reread_tries as tries", "reread_due_at as next_try_at"])
    .select((eb) => eb.ref("reread_problem").$notNull().as("problem"))
    .where(isOwed(extractionVersion))
    .where("reread_problem", "is not", null)
    .orderBy("job_id", "desc")
    .limit(limit)
    .execute();
}

/** The job's archived log; undefined if none is archived, or its record is not loaded. */
export async function findReread(db: Database, extractionVersion: number, jobId: number): Promise<Reread | undefined> {
  return db
    .selectFrom("archive.log_jobs as log_jobs")
    .innerJoin("archive.repositories as repositories", "repositories.repository_id", "log_jobs.repository_id")
    .innerJoin("archive.logs as logs", "logs.job_id", "log_jobs.job_id")
    .select(["log_jobs.job_id", "log_jobs.repository_id", "log_jobs.run_id", "full_name as repository"])
    .select(["logs.record_key", "logs.record_version", "logs.record_sha256"])
    .select(["object", "object_source", "object_received_at"])
    .select(isOwed(extractionVersion).as("is_owed"))
    .where("log_jobs.job_id", "=", jobId)
    .where("logs.log_state", "=", "archived")
    .executeTakeFirst();
}

/**
 * Runs `use` while no other process rereads this log. The lock ends with the process that holds it.
 * @returns undefined, without calling `use`, if another process rereads this log or one that shares its lock: try again later.
 */
export async function withRereadLock<T>(db: Database, jobId: number, use: () => Promise<T>): Promise<T | undefined> {
  return withLock(db, `reread ${jobId % 256}`, use);
}

/**
 * Runs `use` while this record is in force and no removal, load or hold of the archived log can begin. These wait for `use`, which must
 * take only seconds.
 * @returns undefined, without calling `use`, if the log was removed or another record is in force.
 */
export async function withRecordInForce<T>(
  db: Database,
  { jobId, recordKey }: { readonly jobId: number; readonly recordKey: string },
  use: () => Promise<T>,
): Promise<T | undefined> {
  return transact(db, async (trx) => {
    await lockJobs(trx, [jobId]);
    const row = await trx
      .selectFrom("archive.logs")
      .select("job_id")
      .where("job_id", "=", jobId)
      .where("log_state", "=", "archived")
      .where("record_key", "=", recordKey)
      .forNoKeyUpdate()
      .executeTakeFirst();
    return row === undefined ? undefined : use();
  });
}

/**
 * Counts a reread as failed until `finishReread`, so that a log that crashes its reader is not read again at once. The backoff doubles
 * from a minute to a day.
 */
export async function beginReread(db: Database, jobId: number): Promise<void> {
  await db
    .updateTable("archive.log_jobs")
    .set({
      reread_tries: sql<number>`reread_tries + 1`,
      reread_due_at: sql<Date>`now() + least(interval '1 day', interval '1 minute' * 2 ^ least(reread_tries, 11))`,
      reread_problem: null,
    })
    .where("job_id", "=", jobId)
    .execute();
}

export async function failReread(db: Database, jobId: number, problem: string): Promise<void> {
  await db.updateTable("archive.log_jobs").set({ reread_problem: problem }).where("job_id", "=", jobId).execute();
}

export async function finishReread(db: Database, jobId: number): Promise<void> {
  await db
    .updateTable("archive.log_jobs")
    .set({ reread_tries: 0, reread_due_at: null, reread_problem: null })
    .where("job_id", "=", jobId)
    .execute();
}
