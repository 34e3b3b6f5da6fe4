// The ledger of a generated year, by the fetcher's own statements for the parts that are measured; the parts between them are the
// first part again, its ids, times and hashes moved, copied inside the server.

import { recordJobs } from "@actions-archive/database/obligations";
import type { Database } from "@actions-archive/database/open-database";
import { selectRepositories } from "@actions-archive/database/repositories";
import { recordRuns } from "@actions-archive/database/runs";
import { sql } from "kysely";

import { type GeneratedRun, partOffsets, repositories, type Shape, yearEnd, yearStart } from "./scale-world.ts";

/** Repositories that were looked through for the whole year and just now. */
export async function addRepositories(db: Database): Promise<void> {
  await selectRepositories(db, repositories);
  const [start, end] = [new Date(yearStart), new Date(yearEnd)];
  await sql`
    update archive.repositories
    set archive_since = ${start}, polled_at = now(), poll_due_at = now() + interval '1 year', log_retention_days = 90`.execute(
    db,
  );
  await sql`
    insert into archive.windows (repository_id, window_start, window_end, scanned_at)
    select repository_id, ${start}::timestamptz, ${end}::timestamptz, now() from archive.repositories`.execute(db);
}

/** Writes what the fetcher would have found of these runs: all attempts listed, all jobs completed. */
export async function addToLedger(db: Database, runs: readonly GeneratedRun[]): Promise<void> {
  for (const [repositoryId, found] of Map.groupBy(runs, ({ repository_id }) => repository_id)) {
    await recordRuns(
      db,
      repositoryId,
      found.map(({ run }) => run),
    );
    const jobs = found.flatMap((run) => run.jobs);
    await recordJobs(
      db,
      repositoryId,
      jobs.map(({ job, run_attempt }) => ({ object: job, source: "listing", listedAttempt: run_attempt })),
    );
  }
  const runIds = runs.map(({ run }) => run.id);
  await sql`
    update archive.attempts
    set state = 'listed', visits = 1, listed_at = now(), record_key = format('runs/github.com/%s/%s/%s.json', repository_id, run_id, run_attempt),
      listed_jobs = (select count(*) from archive.obligations where obligations.run_id = attempts.run_id and obligations.run_attempt = attempts.run_attempt)
    where run_id = any(${sql.val(runIds)}::bigint[])`.execute(db);
  // The records name this time.
  const jobIds = runs.flatMap(({ jobs }) => jobs.map(({ ref }) => ref.job_id));
  await sql`
    update archive.obligations set object_received_at = completed_at + interval '60 seconds'
    where job_id = any(${sql.val(jobIds)}::bigint[])`.execute(db);
  // Without a record, the log is asked for still, or could not be had.
  const failed = runs.flatMap(({ jobs }) => jobs).filter(({ record, ref }) => record === undefined && ref.job_id % 2 === 0);
  await sql`
    update archive.obligations set log_state = 'failed', log_reason = 'upstream_error'
    where job_id = any(${sql.val(failed.map(({ ref }) => ref.job_id))}::bigint[])`.execute(db);
}

type Change = Readonly<Record<string, string>>;
const jobId = { job_id: "job_id + :job" };
const times = (...names: string[]): Change => Object.fromEntries(names.map((name) => [name, `${name} + :time`]));
const moved: Readonly<Record<string, Change>> = {
  runs: { run_id: "run_id + :run", ...times("created_at", "run_started_at", "updated_at") },
  attempts: { run_id: "run_id + :run" },
  obligations: { ...jobId, run_id: "run_id + :run", ...times("started_at", "completed_at", "expires_at") },
  jobs: { ...jobId, run_id: "run_id + :run", ...times("created_at", "started_at", "completed_at") },
  steps: { ...jobId, ...times("started_at", "completed_at") },
  logs: {
    ...jobId,
    ...times("first_line_at", "last_line_at", "archived_at"),
    raw_sha256: "encode(sha256((raw_sha256 || :job)::bytea), 'hex')",
  },
  sections: jobId,
  action_uses: { ...jobId, ...times("used_at") },
  annotations: jobId,
};
export const tables = Object.keys(moved);

/** Makes part `part` out of part 0, in all tables. */
export async function repeatFirstPart(db: Database, shape: Shape, part: number): Promise<void> {
  const offsets = partOffsets(shape);
  const jobEnd = sql.lit(60e9 + offsets.jobId);
  const runEnd = sql.lit(18e9 + offsets.runId);
  const values: Readonly<Record<string, string>> = {
    ":job": String(offsets.jobId * part),
    ":run": String(offsets.runId * part),
    ":time": `interval '${offsets.ms * part} milliseconds'`,
  };
  for (const [table, change] of Object.entries(moved)) {
    const { rows } = await sql<{ name: string }>`
      select attname as name from pg_attribute
      where attrelid = ${`archive.${table}`}::regclass and attnum > 0 and not attisdropped order by attnum`.execute(db);
    const columns = sql.join(rows.map(({ name }) => sql.ref(name)));
    const taken = sql.join(rows.map(({ name }) => sql.raw((change[name] ?? name).replace(/:\w+/g, (key) => values[key] ?? key))));
    const [key, end] = table === "runs" || table === "attempts" ? ["run_id", runEnd] : ["job_id", jobEnd];
    await sql`
      insert into ${sql.table(`archive.${table}`)} (${columns})
      select ${taken} from ${sql.table(`archive.${table}`)} where ${sql.ref(key)} < ${end} order by ${sql.ref(key)}`.execute(db);
  }
}
