// Jobs whose logs a search reads, and selected jobs whose logs it cannot read, so that an empty result can be distinguished from an incomplete
// one.

import { sql } from "kysely";

import type { Database } from "../connection/open-database.ts";

export type SearchChoice = {
  /** owner/name, case-insensitive. */
  readonly repository?: string | undefined;
  readonly workflow?: string | undefined;
  readonly conclusion?: string | undefined;
  /** Jobs that completed at or after this time, and before `until`. A job without a time always matches. */
  readonly since?: Date | undefined;
  readonly until?: Date | undefined;
};

export type SearchJob = {
  repository: string | null;
  run_id: number;
  run_attempt: number;
  job_id: number;
  workflow_name: string | null;
  job_name: string | null;
  completed_at: Date | null;
  log_state: string;
  log_reason: string | null;
  log_key: string | null;
  log_version_id: string | null;
  stored_bytes: number | null;
  raw_bytes: number | null;
  record_key: string | null;
};

/** Absent logs with these reasons existed once, and cannot be searched. Others never had text of their own. */
const lostReasons = ["expired", "deleted", "removed"];

/** Number and raw size of the selected archived logs. */
export async function measureSearch(db: Database, choice: SearchChoice): Promise<{ logs: number; bytes: number }> {
  return chosen(db, choice)
    .where("jobs.log_state", "=", "archived")
    .select(({ fn }) => [fn.countAll<number>().as("logs"), sql<number>`coalesce(sum(jobs.log_bytes), 0)::bigint`.as("bytes")])
    .executeTakeFirstOrThrow();
}

/**
 * Selected jobs that have a log or should have one, newest first (GitHub's ids ascend). For paging, pass the last id of the previous
 * page.
 */
export async function listSearchJobs(
  db: Database,
  choice: SearchChoice,
  { before, limit }: { readonly before: number | undefined; readonly limit: number },
): Promise<SearchJob[]> {
  return chosen(db, choice)
    .leftJoin("archive.logs as logs", "logs.job_id", "jobs.job_id")
    .select([
      "jobs.repository",
      "jobs.workflow_name",
      "jobs.job_name",
      "jobs.completed_at",
      "jobs.log_reason",
      "jobs.log_key",
      "logs.log_version_id",
      "logs.stored_bytes",
      "logs.raw_bytes",
      "logs.record_key",
    ])
    .select((eb) => [
      eb.ref("jobs.run_id").$notNull().as("run_id"),
      eb.ref("jobs.run_attempt").$notNull().as("run_attempt"),
      eb.ref("jobs.job_id").$notNull().as("job_id"),
      eb.ref("jobs.log_state").$notNull().as("log_state"),
    ])
    .where((eb) => eb.or([eb("jobs.log_state", "!=", "absent"), eb("jobs.log_reason", "in", lostReasons)]))
    .$if(before !== undefined, (query) => query.where("jobs.job_id", "<", before ?? null))
    .orderBy("jobs.job_id", "desc")
    .limit(limit)
    .execute();
}

/**
 * Jobs of the ledger without a row among the auditor's, which can only be selected by repository, conclusion and time. Call it before
 * `listSearchJobs`: a job that is loaded in between is then in both results, never in neither.
 */
export async function listUnloadedSearchJobs(
  db: Database,
  choice: SearchChoice,
  { before, limit }: { readonly before: number | undefined; readonly limit: number },
): Promise<SearchJob[]> {
  return db
    .selectFrom("archive.log_jobs as jobs")
    .innerJoin("archive.repositories as repositories", "repositories.repository_id", "jobs.repository_id")
    .select([
      "repositories.full_name as repository",
      "jobs.run_id",
      "jobs.run_attempt",
      "jobs.job_id",
      "jobs.job_name",
      "jobs.completed_at",
      "jobs.log_state",
      "jobs.log_reason",
      "jobs.record_key",
    ])
    .select([
      sql<string | null>`null::text`.as("workflow_name"),
      sql<string | null>`null::text`.as("log_key"),
      sql<string | null>`null::text`.as("log_version_id"),
      sql<number | null>`null::bigint`.as("stored_bytes"),
      sql<number | null>`null::bigint`.as("raw_bytes"),
    ])
    .where((eb) =>
      eb.not(
        eb.exists(
          eb
            .selectFrom("archive.jobs as loaded")
            .select("loaded.job_id")
            .whereRef("loaded.job_id", "=", "jobs.job_id")
            .where("loaded.status", "=", "completed"),
        ),
      ),
    )
    .where((eb) => eb.or([eb("jobs.log_state", "!=", "absent"), eb("jobs.log_reason", "in", lostReasons)]))
    .where(inRange(choice))
    .where(
      sql<boolean>`lower(repositories.full_name) = lower(coalesce(${choice.repository ?? null}::text, repositories.full_name))`,
    )
    .where(sql<boolean>`coalesce(jobs.conclusion = ${choice.conclusion ?? null}::text, true)`)
    .$if(before !== undefined, (query) => query.where("jobs.job_id", "<", before ?? 0))
    .orderBy("jobs.job_id", "desc")
    .limit(limit)
    .execute();
}

/**
 * Whether the archive knows this repository.
 * @param fullName owner/name, case-insensitive.
 */
export async function hasRepository(db: Database, fullName: string): Promise<boolean> {
  const row = await db
    .selectFrom("archive.repositories")
    .select("repository_id")
    .where(sql<boolean>`lower(full_name) = lower(${fullName}::text)`)
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}

function chosen(db: Database, choice: SearchChoice) {
  const { repository, workflow, conclusion } = choice;
  return db
    .selectFrom("audit.jobs as jobs")
    .where(inRange(choice))
    .$if(repository !== undefined, (query) =>
      query.where(sql<boolean>`lower(jobs.repository) = lower(${repository ?? null}::text)`),
    )
    .$if(workflow !== undefined, (query) => query.where("jobs.workflow_name", "=", workflow ?? null))
    .$if(conclusion !== undefined, (query) => query.where("jobs.conclusion", "=", conclusion ?? null));
}

function inRange({ since, until }: SearchChoice) {
  return sql<boolean>`(jobs.completed_at is null or (jobs.completed_at >= coalesce(${since ?? null}::timestamptz, '-infinity')
    and jobs.completed_at < coalesce(${until ?? null}::timestamptz, 'infinity')))`;
}
