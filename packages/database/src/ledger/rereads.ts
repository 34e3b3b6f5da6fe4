// Archived logs that are owed another reading, since a newer extraction knows more of them or their job object shows more steps
// than the record in force was written with.

import { type RawBuilder, sql } from "kysely";

import { withLock } from "../connection/locks.ts";
import { type Database, transact } from "../connection/open-database.ts";
import { lockJobs } from "./log-jobs.ts";

export type RereadChoice = {
  readonly jobIds?: readonly number[] | undefined;
  /** owner/name, in any case. */
  readonly repository?: string | undefined;
  /** Jobs that completed at this instant or later, and before `until`. A job whose time is not known is always meant. */
  readonly since?: Date | undefined;
  readonly until?: Date | undefined;
};

/** An archived log whose record is loaded, and what the ledger knows of its job. */
export type Reread = {
  job_id: number;
  repository_id: number;
  run_id: number;
  repository: string;
  record_key: string;
  record_version: number;
  record_sha256: string;
  /** The fullest job object that was received, as JSON. */
  object: unknown;
  object_source: string;
  object_received_at: Date;
  is_owed: boolean;
};

// The only definition of what is owed. What a newer extraction wrote is left to it.
const isArchived = sql<boolean>`(obligations.log_state = 'archived'
  and exists (select from archive.logs where logs.job_id = obligations.job_id and logs.log_state = 'archived'))`;
const isOlder = (extractionVersion: number) => sql<boolean>`obligations.extraction_version < ${extractionVersion}`;
const isFuller = (extractionVersion: number) =>
  sql<boolean>`(obligations.object_steps > recorded_steps and obligations.extraction_version <= ${extractionVersion})`;
const isOwed = (extractionVersion: number) =>
  sql<boolean>`((${isOlder(extractionVersion)} or ${isFuller(extractionVersion)}) and ${isArchived})`;

/**
 * Jobs whose archived log is owed another reading, the newest first, by GitHub's ids, which grow. Page by page: give the last id of the
 * page before.
 * @param skipsBackedOff leaves out those whose last reading did not end well, until their back-off ends.
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
      .select("obligations.job_id")
      .where(isDue)
      .where(isArchived)
      .$if(skipsBackedOff, (query) => query.where(sql<boolean>`coalesce(reread_due_at <= now(), true)`))
      .$if(before !== undefined, (query) => query.where("obligations.job_id", "<", before ?? 0))
      .orderBy("obligations.job_id", "desc")
      .limit(limit)
      .execute();
  // Each by an index of its own: with both in one condition Postgres expects a third of all jobs, and reads the whole ledger.
  const pages = await Promise.all([list(isOlder(extractionVersion)), list(isFuller(extractionVersion))]);
  const jobIds = new Set(pages.flat().map(({ job_id }) => job_id));
  return [...jobIds].toSorted((a, b) => b - a).slice(0, limit);
}

/** How many logs of the choice are owed another reading. */
export async function measureRereads(db: Database, extractionVersion: number, choice: RereadChoice): Promise<number> {
  const { logs } = await chosen(db, choice)
    .where(isOwed(extractionVersion))
    .select(({ fn }) => fn.countAll<number>().as("logs"))
    .executeTakeFirstOrThrow();
  return logs;
}

function chosen(db: Database, { jobIds, repository, since, until }: RereadChoice) {
  return db
    .selectFrom("archive.obligations as obligations")
    .$if(jobIds !== undefined, (query) => query.where(sql<boolean>`obligations.job_id = any(${sql.val(jobIds)}::bigint[])`))
    .$if(repository !== undefined, (query) =>
      query.where(sql<boolean>`obligations.repository_id in (
        select repository_id from archive.repositories where lower(full_name) = lower(${repository ?? null}::text))`),
    )
    .$if(since !== undefined, (query) => query.where(sql<boolean>`coalesce(completed_at >= ${since ?? null}, true)`))
    .$if(until !== undefined, (query) => query.where(sql<boolean>`coalesce(completed_at < ${until ?? null}, true)`));
}

export type RereadCounts = {
  /** Archived logs that an older version of the extraction read. */
  older_extraction: number;
  /** Archived logs whose job object shows more steps now; some may be in both. */
  fuller_object: number;
  /** Of both, those whose last reading did not end well. */
  failing: number;
};

export async function countRereads(db: Database, extractionVersion: number): Promise<RereadCounts> {
  const { rows } = await sql<RereadCounts>`
    select
      (count(*) filter (where ${isOlder(extractionVersion)}))::int as older_extraction,
      (count(*) filter (where ${isFuller(extractionVersion)}))::int as fuller_object,
      (count(*) filter (where reread_problem is not null))::int as failing
    from archive.obligations as obligations
    where ${isOwed(extractionVersion)}
  `.execute(db);
  return rows[0] ?? { older_extraction: 0, fuller_object: 0, failing: 0 };
}

export type RereadProblem = { job_id: number; repository: string; problem: string; tries: number; next_try_at: Date | null };

/** Logs that are owed another reading and could not be read, the newest first. */
export async function listRereadProblems(db: Database, extractionVersion: number, limit: number): Promise<RereadProblem[]> {
  return db
    .selectFrom("archive.obligations as obligations")
    .innerJoin("archive.repositories as repositories", "repositories.repository_id", "obligations.repository_id")
    .select(["job_id", "full_name as repository", "reread_tries as tries", "reread_due_at as next_try_at"])
    .select((eb) => eb.ref("reread_problem").$notNull().as("problem"))
    .where(isOwed(extractionVersion))
    .where("reread_problem", "is not", null)
    .orderBy("job_id", "desc")
    .limit(limit)
    .execute();
}

/** The job's archived log; undefined where none is archived, or its record is not loaded. */
export async function findReread(db: Database, extractionVersion: number, jobId: number): Promise<Reread | undefined> {
  return db
    .selectFrom("archive.obligations as obligations")
    .innerJoin("archive.repositories as repositories", "repositories.repository_id", "obligations.repository_id")
    .innerJoin("archive.logs as logs", "logs.job_id", "obligations.job_id")
    .select(["obligations.job_id", "obligations.repository_id", "obligations.run_id", "full_name as repository"])
    .select(["logs.record_key", "logs.record_version", "logs.record_sha256"])
    .select(["object", "object_source", "object_received_at"])
    .select(isOwed(extractionVersion).as("is_owed"))
    .where("obligations.job_id", "=", jobId)
    .where("logs.log_state", "=", "archived")
    .executeTakeFirst();
}

/**
 * Runs `use` while no other process reads this log again. The lock ends with the process that holds it.
 * @returns undefined, without a call, where another reads this log, or one that shares its lock: try again later.
 */
export async function whileRereading<T>(db: Database, jobId: number, use: () => Promise<T>): Promise<T | undefined> {
  return withLock(db, `reread ${jobId % 256}`, use);
}

/**
 * Runs `use` while this record is the one in force of an archived log, and no removal, load or hold of it can begin. What `use` does must
 * take seconds: those wait for it.
 * @returns undefined, without a call, where the log was removed or another record is in force.
 */
export async function whileInForce<T>(
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
 * A reading begins, and counts as failed until `finishReread`: a log that ends its reader must not be read at once by the next one.
 * The back-off doubles from a minute to a day.
 */
export async function beginReread(db: Database, jobId: number): Promise<void> {
  await db
    .updateTable("archive.obligations")
    .set({
      reread_tries: sql<number>`reread_tries + 1`,
      reread_due_at: sql<Date>`now() + least(interval '1 day', interval '1 minute' * 2 ^ least(reread_tries, 11))`,
      reread_problem: null,
    })
    .where("job_id", "=", jobId)
    .execute();
}

export async function failReread(db: Database, jobId: number, problem: string): Promise<void> {
  await db.updateTable("archive.obligations").set({ reread_problem: problem }).where("job_id", "=", jobId).execute();
}

export async function finishReread(db: Database, jobId: number): Promise<void> {
  await db
    .updateTable("archive.obligations")
    .set({ reread_tries: 0, reread_due_at: null, reread_problem: null })
    .where("job_id", "=", jobId)
    .execute();
}
