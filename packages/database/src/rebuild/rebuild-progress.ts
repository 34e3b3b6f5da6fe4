// Progress of a rebuild of this database, and the objects that it skipped.

import { sql } from "kysely";

import { type Database, transact } from "../connection/open-database.ts";

export type RebuildPhase = "seals" | "records" | "ledger" | "closing" | "done";

export type RebuildState = {
  readonly archive_id: string;
  readonly phase: RebuildPhase;
  /** Position within that phase. */
  readonly position: string;
  readonly objects_listed: number | null;
  readonly objects_read: number;
  readonly jobs: number;
  readonly seconds: number;
  readonly began_at: Date;
  readonly ended_at: Date | null;
};

export type RebuildProgress = Pick<RebuildState, "phase" | "position" | "objects_listed" | "objects_read" | "jobs" | "seconds">;

export type Refusal = { object_key: string; problem: string };

export async function findRebuild(db: Database): Promise<RebuildState | undefined> {
  const row = await db
    .selectFrom("archive.rebuild")
    .select(["archive_id", "phase", "position", "objects_listed", "objects_read", "jobs", "seconds", "began_at", "ended_at"])
    .executeTakeFirst();
  // A check constraint restricts the column to these words.
  return row && { ...row, phase: row.phase as RebuildPhase };
}

/** Whether the ledger contains nothing that a worker found or loaded. */
export async function isLedgerEmpty(db: Database): Promise<boolean> {
  const { rows } = await sql<{ is_empty: boolean }>`
    select not (
      exists (select from archive.runs) or exists (select from archive.attempts) or exists (select from archive.log_jobs)
      or exists (select from archive.jobs) or exists (select from archive.windows)
    ) as is_empty`.execute(db);
  return rows[0]?.is_empty === true;
}

/** Idempotent: a rebuild that has begun continues. */
export async function beginRebuild(db: Database, archiveId: string): Promise<void> {
  await db
    .insertInto("archive.rebuild")
    .values({ archive_id: archiveId })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

/** Call it after the work that it records is committed. */
export async function saveRebuild(db: Database, progress: RebuildProgress): Promise<void> {
  await db
    .updateTable("archive.rebuild")
    .set({ ...progress, ended_at: progress.phase === "done" ? sql<Date>`now()` : null })
    .execute();
}

/** Idempotent: the first problem of an object stays. */
export async function recordRefusals(db: Database, refusals: readonly Refusal[]): Promise<void> {
  if (refusals.length === 0) return;
  await db
    .insertInto("archive.rebuild_refusals")
    .values([...refusals])
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

export async function countRefusals(db: Database): Promise<number> {
  const { refusals } = await db
    .selectFrom("archive.rebuild_refusals")
    .select(({ fn }) => fn.countAll<number>().as("refusals"))
    .executeTakeFirstOrThrow();
  return refusals;
}

export async function listRefusals(db: Database, limit: number): Promise<Refusal[]> {
  return db.selectFrom("archive.rebuild_refusals").select(["object_key", "problem"]).orderBy("object_key").limit(limit).execute();
}

/** Adds run records and records that a published seal contains and the store lacks. Idempotent. */
export async function recordMissingObjects(db: Database): Promise<void> {
  await sql`
    insert into archive.rebuild_refusals (object_key, problem)
    select object_key, format('seal %s holds it, and it is not in the store', sealed_in)
    from archive.objects
    where sealed_in is not null
      and (
        (starts_with(object_key, 'runs/') and not exists (select from archive.attempts where record_key = object_key))
        or (
          starts_with(object_key, 'records/')
          and not exists (select from archive.logs where logs.job_id = objects.job_id)
          and not exists (
            select from archive.log_jobs where log_jobs.job_id = objects.job_id and log_reason = 'unloadable'
          )
        )
      )
    on conflict do nothing
  `.execute(db);
}

const analyzedTables = [
  "archive.repositories",
  "archive.runs",
  "archive.attempts",
  "archive.log_jobs",
  "archive.objects",
  "archive.jobs",
  "archive.steps",
  "archive.logs",
  "archive.sections",
  "archive.action_uses",
  "archive.annotations",
  "archive.permissions",
  "archive.log_facts",
];

/** Analyzes the tables: autovacuum does so only after a minute, and plans are bad until then. */
export async function analyzeTables(db: Database): Promise<void> {
  await transact(db, async (trx) => {
    await sql`set local statement_timeout = 0`.execute(trx);
    for (const table of analyzedTables) await sql`analyze ${sql.table(table)}`.execute(trx);
  });
}
