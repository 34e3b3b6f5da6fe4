// Holds the auditor's rows against those that the store's objects give, which stand in temporary tables of the same shape.

import { sql } from "kysely";

import { type Database, transact } from "./open-database.ts";

/** The auditor's tables, and the column that tells a job's rows apart. */
const tables = {
  jobs: undefined,
  steps: "step_number",
  logs: undefined,
  sections: "step_number",
  action_uses: "position",
  annotations: "line_number",
  permissions: "scope",
  log_facts: undefined,
} as const;
export type ComparedTable = keyof typeof tables;
type Row = Readonly<Record<string, unknown>>;

const tableNames = Object.keys(tables) as ComparedTable[];

export type RowDifference = {
  readonly table: ComparedTable;
  readonly job_id: number;
  /** `column=value` of the column that tells the job's rows apart; empty where it has one row. */
  readonly place: string;
  /** Null when there is none. */
  readonly actual: Row | null;
  readonly expected: Row | null;
};

/** Makes the temporary tables, or empties them. They go with the transaction. */
export async function makeExpectedTables(trx: Database): Promise<void> {
  for (const table of tableNames) {
    await sql`create temporary table if not exists ${sql.id(table)} (like archive.${sql.id(table)} including defaults including generated including indexes) on commit drop`.execute(
      trx,
    );
    await sql`truncate pg_temp.${sql.id(table)}`.execute(trx);
  }
}

/** Rows of these jobs that are not alike, in the order of tables and jobs. When a row was loaded is no part of it. */
export async function findDifferences(trx: Database, jobIds: readonly number[]): Promise<RowDifference[]> {
  const found: RowDifference[] = [];
  for (const table of tableNames) {
    const column = tables[table];
    const place = column === undefined ? sql`''` : sql`${`${column}=`} || ${sql.ref(column)}`;
    const rowsOf = (schema: string) => sql`
      select job_id, ${place} as place, to_jsonb(rows_of) - 'loaded_at' as content
      from ${sql.id(schema)}.${sql.id(table)} as rows_of
      where job_id = any(${sql.val(jobIds)}::bigint[])`;
    const { rows } = await sql<Omit<RowDifference, "table">>`
      select job_id, place, actual.content as actual, expected.content as expected
      from (${rowsOf("archive")}) as actual
      full join (${rowsOf("pg_temp")}) as expected using (job_id, place)
      where actual.content is distinct from expected.content
      order by job_id, place
    `.execute(trx);
    found.push(...rows.map((row) => ({ table, ...row })));
  }
  return found;
}

export type LedgerStory = {
  readonly job_id: number;
  readonly repository_id: number;
  readonly run_attempt: number;
  readonly last_listed_attempt: number;
  readonly objects: readonly unknown[];
  readonly is_loaded: boolean;
  readonly log_state: string;
};

/** What the ledger holds of these jobs. */
export async function listLedgerStories(trx: Database, jobIds: readonly number[]): Promise<LedgerStory[]> {
  const rows = await trx
    .selectFrom("archive.obligations")
    .select(["job_id", "repository_id", "run_attempt", "last_listed_attempt", "object", "other_objects", "log_state"])
    .select(sql<boolean>`rows_loaded_at is not null`.as("is_loaded"))
    .where(sql<boolean>`job_id = any(${sql.val(jobIds)}::bigint[])`)
    .orderBy("job_id")
    .execute();
  return rows.map(({ object, other_objects, ...row }) => ({ ...row, objects: [object, ...other_objects] }));
}

/** Until when runs were taken out of this database by its owner; undefined when none ever were. */
export async function findRemovalHorizon(db: Database): Promise<Date | undefined> {
  const row = await db
    .selectFrom("archive.removals")
    .select(({ fn }) => fn.max("runs_before").as("horizon"))
    .executeTakeFirst();
  return row?.horizon ?? undefined;
}

// These look at whole tables, which may take longer than a session's statements are allowed.
async function withoutTimeout<T>(db: Database, query: (trx: Database) => Promise<T>): Promise<T> {
  return transact(db, async (trx) => {
    await sql`set local statement_timeout = 0`.execute(trx);
    return query(trx);
  });
}

/** Jobs that have a row and no part in the ledger: of those removed from it, or written by nobody of us. */
export async function listJobsOutsideLedger(db: Database): Promise<number[]> {
  const { rows } = await withoutTimeout(db, (trx) =>
    sql<{ job_id: number }>`
    select job_id from archive.jobs where not exists (select from archive.obligations where obligations.job_id = jobs.job_id)
  `.execute(trx),
  );
  return rows.map(({ job_id }) => job_id);
}

/** How many jobs have rows of the ledger alone, since no record says how their log ended. */
export async function countJobsWithoutLog(db: Database): Promise<number> {
  const { rows } = await withoutTimeout(db, (trx) =>
    sql<{ jobs: number }>`
    select count(*) as jobs from archive.jobs where not exists (select from archive.logs where logs.job_id = jobs.job_id)
  `.execute(trx),
  );
  return rows[0]?.jobs ?? 0;
}

/** Rows of `archive.logs` after a job, by id: page by page all of them. */
export async function listLogRows(db: Database, afterJobId: number, limit: number) {
  return db
    .selectFrom("archive.logs")
    .select(["job_id", "record_key"])
    .where("job_id", ">", afterJobId)
    .orderBy("job_id")
    .limit(limit)
    .execute();
}

/** Rows of what a log says, of jobs that have no row of how their log ended. */
export async function listLooseFacts(db: Database): Promise<{ table: ComparedTable; job_id: number }[]> {
  const { rows } = await withoutTimeout(db, (trx) =>
    sql<{ table: ComparedTable; job_id: number }>`
    select * from (
      select 'sections' as table, job_id from archive.sections
      union select 'action_uses', job_id from archive.action_uses
      union select 'annotations', job_id from archive.annotations
      union select 'permissions', job_id from archive.permissions
      union select 'log_facts', job_id from archive.log_facts
    ) as facts
    where not exists (select from archive.logs where logs.job_id = facts.job_id)
    order by job_id
  `.execute(trx),
  );
  return rows;
}

/** The chain as this database has it; of the last, `is_published` may be false: it is in the store, or will be. */
export async function listSealRows(db: Database) {
  return db
    .selectFrom("archive.seals")
    .select(["sequence", "sealed_at", "entries", "previous_sha256", "sha256", "key_id", "next_key_id"])
    .select(sql<boolean>`published_at is not null`.as("is_published"))
    .orderBy("sequence")
    .execute();
}

/** What was written down of the store after a key, by key: page by page all of it. */
export async function listObjectRows(db: Database, afterKey: string, limit: number) {
  return db
    .selectFrom("archive.objects")
    .leftJoin("archive.seals", (join) =>
      join.onRef("archive.seals.sequence", "=", "archive.objects.sealed_in").on("published_at", "is not", null),
    )
    .select(["object_key", "size_bytes", "archive.objects.sha256", "archive.seals.sequence"])
    .where("object_key", ">", afterKey)
    .orderBy("object_key")
    .limit(limit)
    .execute();
}
