// Finds rows of the ledger that differ from the seals and run records, which `expected-ledger.ts` has written into temporary tables.
// The caller interprets a difference, since a working archive changes rows after its newest seal.

import { sql } from "kysely";

import { type Database, transact } from "../connection/open-database.ts";

/** These read whole tables, which may exceed the session's statement_timeout. */
export async function withoutTimeout<T>(db: Database, query: (trx: Database) => Promise<T>): Promise<T> {
  return transact(db, async (trx) => {
    await sql`set local statement_timeout = 0`.execute(trx);
    return query(trx);
  });
}

export type Content = Readonly<Record<string, unknown>>;

/** Times in seals have milliseconds. */
export const millis = (column: string) => sql`date_trunc('milliseconds', ${sql.ref(column)})`;

export type WindowRow = {
  readonly repository_id: number;
  readonly window_start: Date;
  readonly window_end: Date;
  readonly scanned_at: Date;
  readonly sealed_in: number | null;
  /**
   * Whether a listing since the newest seal can have added it: up to now, from the beginning of the seals, the repository or a
   * backfill.
   */
  readonly is_plausible: boolean;
};

/** Windows that claim more than the windows of all seals together. */
export async function listWiderWindows(db: Database): Promise<WindowRow[]> {
  const { rows } = await withoutTimeout(db, (trx) =>
    sql<WindowRow>`
      select repository_id, window_start, window_end, scanned_at, sealed_in,
        -- GitHub's clock and the database's may differ by five minutes.
        window_end <= now() + interval '1 hour' and (
          -- Null until the first scan of the repository has ended.
          spans is null or archive_since is null or window_start >= least(lower(spans), archive_since) or exists (
            select from archive.backfill_repositories join archive.backfills using (backfill_id)
            where backfill_repositories.repository_id = windows.repository_id and since <= window_start
          )
        ) as is_plausible
      from archive.windows
      join archive.repositories using (repository_id)
      left join (
        select repository_id, range_agg(tstzrange(window_start, window_end)) as spans from pg_temp.windows group by repository_id
      ) as sealed using (repository_id)
      -- A seal's times have milliseconds.
      where (tstzrange(${millis("window_start")}, ${millis("window_end")}) <@ spans) is not true
      order by repository_id, window_start
    `.execute(trx),
  );
  return rows;
}

export type FullSecondDifference = {
  readonly repository_id: number;
  readonly second_start: Date;
  /** When the row was written; null if there is none. */
  readonly seen_at: Date | null;
  /** When the window that covers the second now was scanned; null if none does. */
  readonly covered_at: Date | null;
};

/** Full seconds that the newest seal or the table lacks. */
export async function findFullSecondDifferences(db: Database): Promise<FullSecondDifference[]> {
  const { rows } = await withoutTimeout(db, (trx) =>
    sql<FullSecondDifference>`
      select repository_id, second_start, actual.seen_at, (
          select scanned_at from archive.windows
          where windows.repository_id = coalesce(actual.repository_id, expected.repository_id)
            and window_start <= second_start and window_end > second_start
        ) as covered_at
      from archive.full_seconds as actual
      full join pg_temp.full_seconds as expected using (repository_id, second_start)
      where actual.repository_id is null or expected.repository_id is null
      order by repository_id, second_start
    `.execute(trx),
  );
  return rows;
}

export type RunDifference = {
  readonly run_id: number;
  readonly actual: Content | null;
  /** By its run records, in the order of their attempts; null if none shows the run. */
  readonly recorded: Content | null;
  /** By the seals; null if none contains an attempt of it. */
  readonly sealed: { readonly repository_id: number; readonly created_at: string } | null;
};

/** Columns of a run that its run records have. GitHub changes the others after the record, or no object has them. */
const runColumns = [
  "run_id",
  "repository_id",
  "run_attempt",
  "run_number",
  "workflow_id",
  "workflow_name",
  "path",
  "event",
  "actor",
  "triggering_actor",
  "head_branch",
  "head_sha",
  "created_at",
  "run_started_at",
] as const;

const contentOf = (table: string, columns: readonly string[]) =>
  sql`jsonb_build_object(${sql.join(columns.flatMap((column) => [sql`${column}::text`, sql.ref(`${table}.${column}`)]))})`;

/** Runs in objects of the store whose rows differ from them. */
export async function findRunDifferences(db: Database): Promise<RunDifference[]> {
  const { rows } = await withoutTimeout(db, (trx) =>
    sql<RunDifference>`
      select run_id,
        case when actual.run_id is not null then ${contentOf("actual", runColumns)} end as actual,
        case when recorded.run_id is not null then ${contentOf("recorded", runColumns)} end as recorded,
        case when sealed.run_id is not null then jsonb_build_object('repository_id', sealed.repository_id, 'created_at', sealed.created_at) end as sealed
      from pg_temp.runs as recorded
      full join (
        select run_id, max(repository_id) as repository_id, max(run_created_at) as created_at from pg_temp.sealed_attempts group by run_id
      ) as sealed using (run_id)
      left join archive.runs as actual using (run_id)
      where actual.run_id is null
        or (recorded.run_id is not null and ${contentOf("actual", runColumns)} is distinct from ${contentOf("recorded", runColumns)})
        or (sealed.run_id is not null
          and (actual.repository_id, ${millis("actual.created_at")}) is distinct from (sealed.repository_id, sealed.created_at))
      order by run_id
    `.execute(trx),
  );
  return rows;
}

export type AttemptDifference = {
  readonly run_id: number;
  readonly run_attempt: number;
  readonly actual: AttemptContent | null;
  /** By its run record. `sealed_in`: of that record. */
  readonly recorded: AttemptContent | null;
  /** By the last seal that contains it. */
  readonly sealed: { readonly state: string; readonly sequence: number; readonly repository_id: number } | null;
  readonly first_seen_at: Date | null;
  /** Of its run, by the seals or the run record. */
  readonly run_created_at: Date | null;
  /** Of its run, by the ledger: the newest known attempt. */
  readonly newest_attempt: number | null;
};

export type AttemptContent = {
  readonly repository_id: number;
  readonly state: string;
  readonly status: string | null;
  readonly conclusion: string | null;
  readonly actor: string | null;
  readonly triggering_actor: string | null;
  readonly pull_request_numbers: readonly number[] | null;
  readonly head_repository: string | null;
  readonly listed_at: string | null;
  readonly listed_jobs: number | null;
  readonly missing_job_ids: readonly number[];
  readonly record_key: string | null;
  readonly sealed_in: number | null;
};

/** Columns of an attempt that a later object of the same attempt can change. */
export const ofAttemptObject = ["actor", "triggering_actor", "pull_request_numbers", "head_repository"] as const;

/** Attempts whose rows differ from their run record and the last seal that contains them, or that neither has. */
export async function findAttemptDifferences(db: Database): Promise<AttemptDifference[]> {
  const shown = ["repository_id", "status", "conclusion", ...ofAttemptObject, "listed_jobs", "missing_job_ids", "record_key"];
  const content = (table: string) => sql`
    ${contentOf(table, [...shown, "state", "sealed_in"])} || jsonb_build_object('listed_at', ${millis(`${table}.listed_at`)})`;
  const same = (table: string) =>
    sql`${contentOf(table, [...shown, "state"])} || jsonb_build_object('listed_at', ${millis(`${table}.listed_at`)})`;
  const { rows } = await withoutTimeout(db, (trx) =>
    sql<AttemptDifference>`
      select run_id, run_attempt,
        case when actual.run_id is not null then ${content("actual")} end as actual,
        case when recorded.run_id is not null then ${content("recorded")} end as recorded,
        case when sealed.run_id is not null then
          jsonb_build_object('state', sealed.state, 'sequence', sequence, 'repository_id', sealed.repository_id) end as sealed,
        actual.first_seen_at,
        coalesce(sealed.run_created_at, (select created_at from pg_temp.runs as run where run.run_id = recorded.run_id)) as run_created_at,
        (select run.run_attempt from archive.runs as run where run.run_id = sealed.run_id) as newest_attempt
      from archive.attempts as actual
      full join pg_temp.attempts as recorded using (run_id, run_attempt)
      full join pg_temp.sealed_attempts as sealed using (run_id, run_attempt)
      where not (
        actual.run_id is not null and sealed.run_id is not null
        and (actual.repository_id, actual.state, actual.sealed_in) is not distinct from (sealed.repository_id, sealed.state, sealed.sequence)
        and case when recorded.run_id is null then actual.record_key is null else ${same("actual")} = ${same("recorded")} end
      )
      order by run_id, run_attempt
    `.execute(trx),
  );
  return rows;
}

export type OrphanRun = { readonly run_id: number; readonly first_seen_at: Date };

/** Runs that no object of the store has. */
export async function listOrphanRuns(db: Database): Promise<OrphanRun[]> {
  const { rows } = await withoutTimeout(db, (trx) =>
    sql<OrphanRun>`
      select run_id, first_seen_at from archive.runs
      where not exists (select from pg_temp.runs as recorded where recorded.run_id = runs.run_id)
        and not exists (select from pg_temp.sealed_attempts as sealed where sealed.run_id = runs.run_id)
      order by run_id
    `.execute(trx),
  );
  return rows;
}

/** Creation times of these runs, by the seals or their run records; unknown runs are omitted. */
export async function listRunTimes(trx: Database, runIds: readonly number[]): Promise<Map<number, Date>> {
  const { rows } = await sql<{ run_id: number; created_at: Date }>`
    select run_id, coalesce(
      (select max(run_created_at) from pg_temp.sealed_attempts as sealed where sealed.run_id = asked.run_id),
      (select created_at from pg_temp.runs as recorded where recorded.run_id = asked.run_id)) as created_at
    from unnest(${sql.val(runIds)}::bigint[]) as asked (run_id)
  `.execute(trx);
  return new Map(rows.flatMap(({ run_id, created_at }) => (created_at === null ? [] : [[run_id, created_at]])));
}

export async function listRepositoryNames(
  db: Database,
): Promise<{ repository_id: number; full_name: string; named_at: Date | null; first_seen_at: Date }[]> {
  return db
    .selectFrom("archive.repositories")
    .select(["repository_id", "full_name", "named_at", "first_seen_at"])
    .orderBy("repository_id")
    .execute();
}
