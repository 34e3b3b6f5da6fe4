// Compares the auditor's rows with those of the store's objects, which are in temporary tables of the same shape.

import { sql } from "kysely";

import type { Database } from "../connection/open-database.ts";
import { unnest } from "../connection/unnest.ts";
import { withoutTimeout } from "./compare-ledger.ts";

/** The auditor's tables, and the column that distinguishes a job's rows. */
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
  /** `column=value` of the column that distinguishes the job's rows; empty if it has one row. */
  readonly place: string;
  /** Null if there is none. */
  readonly actual: Row | null;
  readonly expected: Row | null;
};

/** Gives all statements of the transaction one snapshot. Call it first in the transaction. */
export async function takeSnapshot(trx: Database): Promise<void> {
  await sql`set transaction isolation level repeatable read`.execute(trx);
}

/** Creates or truncates the temporary tables. They are dropped with the transaction. */
export async function makeExpectedTables(trx: Database): Promise<void> {
  for (const table of tableNames) {
    await sql`create temporary table if not exists ${sql.id(table)} (like archive.${sql.id(table)} including defaults including generated including indexes) on commit drop`.execute(
      trx,
    );
    await sql`truncate pg_temp.${sql.id(table)}`.execute(trx);
  }
}

/** Rows of these jobs that differ, by table and job. The time of loading is not compared. */
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

export type LedgerSnapshot = {
  readonly job_id: number;
  readonly repository_id: number;
  readonly run_attempt: number;
  readonly last_listed_attempt: number;
  readonly objects: readonly unknown[];
  readonly is_loaded: boolean;
  readonly log_state: string;
};

/** The ledger's facts about these jobs. */
export async function listLedgerSnapshots(trx: Database, jobIds: readonly number[]): Promise<LedgerSnapshot[]> {
  const rows = await trx
    .selectFrom("archive.log_jobs")
    .select(["job_id", "repository_id", "run_attempt", "last_listed_attempt", "object", "other_objects", "log_state"])
    .select(sql<boolean>`rows_loaded_at is not null`.as("is_loaded"))
    .where(sql<boolean>`job_id = any(${sql.val(jobIds)}::bigint[])`)
    .orderBy("job_id")
    .execute();
  return rows.map(({ object, other_objects, ...row }) => ({ ...row, objects: [object, ...other_objects] }));
}

export type LedgerDifference = {
  readonly job_id: number;
  readonly run_id: number;
  readonly has_row: boolean;
  /** Values of the ledger's job objects. */
  readonly actual: Readonly<Record<ObjectColumn, string | null>>;
  /** Whether attempts, run or repository contradict the store. */
  readonly problem: string | null;
};
const objectColumns = ["job_name", "runner_name", "conclusion", "started_at", "completed_at"] as const;
export type ObjectColumn = (typeof objectColumns)[number];

/**
 * Jobs in the temporary tables whose log job is missing or differs from the expected job. Call it before the ledger's objects are added
 * to them.
 */
export async function findLedgerDifferences(trx: Database): Promise<LedgerDifference[]> {
  const isOther = sql.join(
    objectColumns.map((column) => sql`ledger.${sql.ref(column)} is distinct from expected.${sql.ref(column)}`),
    sql` or `,
  );
  const { rows } = await sql<LedgerDifference>`
    select * from (
      select expected.job_id, expected.run_id, ledger.job_id is not null as has_row,
        jsonb_build_object(${sql.join(objectColumns.flatMap((column) => [sql`${column}::text`, sql.ref(`ledger.${column}`)]))}) as actual,
        case
          when ledger.repository_id <> expected.repository_id then format('repository_id is %s, and %s by its record', ledger.repository_id, expected.repository_id)
          when ledger.run_id <> expected.run_id then format('run_id is %s, and %s by its record', ledger.run_id, expected.run_id)
          when ledger.run_attempt > expected.run_attempt then format('run_attempt is %s, and %s by its record', ledger.run_attempt, expected.run_attempt)
          when ledger.last_listed_attempt < expected.last_listed_attempt
            then format('last_listed_attempt is %s, and %s by its record', ledger.last_listed_attempt, expected.last_listed_attempt)
        end as problem
      from pg_temp.jobs as expected
      left join archive.log_jobs as ledger using (job_id)
      where ledger.job_id is null or ledger.repository_id <> expected.repository_id or ledger.run_id <> expected.run_id
        or ledger.run_attempt > expected.run_attempt or ledger.last_listed_attempt < expected.last_listed_attempt or ${isOther}
    ) as differences
    order by job_id
  `.execute(trx);
  return rows;
}

/**
 * Those of these jobs whose partition exists: a removal by the owner drops whole partitions. None if a backfill from before `horizon`
 * may have restored other jobs of a partition.
 */
export async function listPartitionedJobs(trx: Database, jobIds: readonly number[], horizon: Date): Promise<Set<number>> {
  const { rows } = await sql<{ job_id: number }>`
    select job_id from unnest(${sql.val(jobIds)}::bigint[]) as job_id
    where to_regclass(format('archive.jobs_%s', archive.partition_start(job_id))) is not null
      and not exists (select from archive.backfills where since < ${horizon})
  `.execute(trx);
  return new Set(rows.map(({ job_id }) => job_id));
}

export type RecentJob = {
  readonly job_id: number;
  readonly repository_id: number;
  readonly run_id: number;
  readonly run_attempt: number;
  readonly last_listed_attempt: number;
  readonly log_state: string | null;
  readonly record_key: string | null;
  readonly first_seen_at: Date | null;
};

/** Jobs after a job, by id, that have rows but no row of a log state, with the ledger's facts about them. */
export async function listRecentJobs(db: Database, afterJobId: number, limit: number): Promise<RecentJob[]> {
  const { rows } = await withoutTimeout(db, (trx) =>
    sql<RecentJob>`
      select jobs.job_id, jobs.repository_id, jobs.run_id, jobs.run_attempt, jobs.last_listed_attempt,
        ledger.log_state, ledger.record_key, ledger.first_seen_at
      from archive.jobs
      left join archive.log_jobs as ledger using (job_id)
      where jobs.job_id > ${afterJobId} and not exists (select from archive.logs where logs.job_id = jobs.job_id)
      order by jobs.job_id
      limit ${limit}
    `.execute(trx),
  );
  return rows;
}

/** Jobs that have a row but no log job: removed from the ledger, or not written by this program. */
export async function listJobsOutsideLedger(db: Database): Promise<number[]> {
  const { rows } = await withoutTimeout(db, (trx) =>
    sql<{ job_id: number }>`
    select job_id from archive.jobs where not exists (select from archive.log_jobs where log_jobs.job_id = jobs.job_id)
  `.execute(trx),
  );
  return rows.map(({ job_id }) => job_id);
}

/** Rows of `archive.logs` after a job, by id, as a page. */
export async function listLogRows(db: Database, afterJobId: number, limit: number) {
  return db
    .selectFrom("archive.logs")
    .select(["job_id", "record_key"])
    .where("job_id", ">", afterJobId)
    .orderBy("job_id")
    .limit(limit)
    .execute();
}

/** Rows extracted from logs of jobs without a row of a log state. */
export async function listOrphanFacts(db: Database): Promise<{ table: ComparedTable; job_id: number }[]> {
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

/** Newest sequence in this database, published or prepared; 0 if there is none. */
export async function findNewestSequence(db: Database): Promise<number> {
  const row = await db
    .selectFrom("archive.seals")
    .select(({ fn }) => fn.max("sequence").as("newest"))
    .executeTakeFirst();
  return row?.newest ?? 0;
}

/** The chain in this database; `is_published` of the last may be false: it is in the store, or will be. */
export async function listSealRows(db: Database) {
  return db
    .selectFrom("archive.seals")
    .select(["sequence", "sealed_at", "entries", "previous_sha256", "sha256", "key_id", "next_key_id", "is_trusted"])
    .select(["by", "os_user", "database_user", "reason"])
    .select(sql<boolean>`published_at is not null`.as("is_published"))
    .orderBy("sequence")
    .execute();
}

/** Recorded objects after a key, by key, as a page. */
export async function listObjectRows(db: Database, afterKey: string, limit: number) {
  return db
    .selectFrom("archive.objects")
    .leftJoin("archive.seals", (join) =>
      join.onRef("archive.seals.sequence", "=", "archive.objects.sealed_in").on("published_at", "is not", null),
    )
    .select(["object_key", "size_bytes", "archive.objects.sha256", "archive.seals.sequence", "repository_id", "run_id", "job_id"])
    .where("object_key", ">", afterKey)
    .orderBy("object_key")
    .limit(limit)
    .execute();
}

export type OtherVersion = {
  readonly object_key: string;
  readonly version_id: string | null;
  readonly sealed_version_id: string | null;
};

/** Those of these objects that have another version in a row of seal `sequence`. */
export async function listOtherVersions(
  db: Database,
  sequence: number,
  objects: readonly { readonly key: string; readonly version_id: string | null }[],
): Promise<OtherVersion[]> {
  if (objects.length === 0) return [];
  const { rows } = await withoutTimeout(db, (trx) =>
    sql<OtherVersion>`
      select object_key, objects.version_id, incoming.version_id as sealed_version_id
      from ${unnest<{ key: string; version_id: string | null }>(
        { key: "text", version_id: "text" },
        objects.map(({ key, version_id }) => ({ key, version_id })),
      )}
      join archive.objects on object_key = incoming.key and sealed_in = ${sequence}
      where objects.version_id is distinct from incoming.version_id
      order by object_key
    `.execute(trx),
  );
  return rows;
}
