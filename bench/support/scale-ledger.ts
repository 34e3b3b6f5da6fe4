// The ledger of a generated year. The fetcher's own statements write the measured parts; the parts between them are copies of the first,
// made inside the server, with other ids, times and hashes.

import type { Database } from "@actions-archive/database/connection/open-database";
import { recordJobs } from "@actions-archive/database/ledger/log-jobs";
import { selectRepositories } from "@actions-archive/database/ledger/repositories";
import { recordRuns } from "@actions-archive/database/ledger/runs";
import { sql } from "kysely";
import type { Client } from "pg";

import { firstIds, type GeneratedRun, partOffsets, repositories, type Shape, yearEnd, yearStart } from "./scale-world.ts";

/** Adds repositories that have been scanned for the whole year, most recently just now. */
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

/** Writes what the fetcher would have recorded of these runs: all attempts listed, all jobs completed. */
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
    set state = 'listed', checks = 1, listed_at = now(), record_key = format('runs/github.com/%s/%s/%s.json', repository_id, run_id, run_attempt),
      listed_jobs = (select count(*) from archive.log_jobs where log_jobs.run_id = attempts.run_id and log_jobs.run_attempt = attempts.run_attempt)
    where run_id = any(${sql.val(runIds)}::bigint[])`.execute(db);
  // The time in the records.
  const jobIds = runs.flatMap(({ jobs }) => jobs.map(({ ref }) => ref.job_id));
  await sql`
    update archive.log_jobs set object_received_at = completed_at + interval '60 seconds'
    where job_id = any(${sql.val(jobIds)}::bigint[])`.execute(db);
  // A log without a record is pending or has failed.
  const failed = runs.flatMap(({ jobs }) => jobs).filter(({ record, ref }) => record === undefined && ref.job_id % 2 === 0);
  await sql`
    update archive.log_jobs set log_state = 'failed', log_reason = 'upstream_error'
    where job_id = any(${sql.val(failed.map(({ ref }) => ref.job_id))}::bigint[])`.execute(db);
}

const times = (...names: string[]): [string, string][] => names.map((name) => [name, `${name} + :time`]);
const job: [string, string] = ["job_id", "job_id + :job"];
const run: [string, string] = ["run_id", "run_id + :run"];
const hash: [string, string] = ["raw_sha256", "encode(sha256((raw_sha256 || :job)::bytea), 'hex')"];
/** By table: columns that differ from the first part. */
const moved = new Map<string, [string, string][]>([
  ["runs", [run, ...times("created_at", "run_started_at", "updated_at")]],
  ["attempts", [run]],
  ["log_jobs", [job, run, ...times("started_at", "completed_at", "expires_at", "object_received_at")]],
  ["jobs", [job, run, ...times("created_at", "started_at", "completed_at")]],
  ["steps", [job, ...times("started_at", "completed_at")]],
  ["logs", [job, hash, ...times("first_line_at", "last_line_at", "archived_at")]],
  ["sections", [job]],
  ["action_uses", [job, ...times("used_at")]],
  ["annotations", [job]],
  ["permissions", [job]],
  ["log_facts", [job]],
]);

/** Copies the first part to part `part`, in all tables. */
export async function repeatFirstPart(client: Client, shape: Shape, part: number): Promise<void> {
  const offsets = partOffsets(shape);
  const values: Readonly<Record<string, string>> = {
    ":job": String(offsets.jobId * part),
    ":run": String(offsets.runId * part),
    ":time": `interval '${offsets.ms * part} milliseconds'`,
  };
  const first = `job_id < ${firstIds.job + offsets.jobId}`;
  await client.query(
    `select archive.make_partitions(array(select distinct archive.partition_start(${values[":job"]} + job_id) from archive.jobs where ${first}))`,
  );
  for (const [table, changes] of moved) {
    const { rows } = await client.query<{ name: string }>(
      `select attname as name from pg_attribute
      where attrelid = $1::regclass and attnum > 0 and not attisdropped and attgenerated = '' order by attnum`,
      [`archive.${table}`],
    );
    const changed = new Map(changes);
    const taken = rows.map(({ name }) => (changed.get(name) ?? name).replaceAll(/:\w+/g, (key) => values[key] ?? key));
    const isOfRun = table === "runs" || table === "attempts";
    await client.query(
      `insert into archive.${table} (${rows.map(({ name }) => name).join(", ")})
      select ${taken.join(", ")} from archive.${table}
      where ${isOfRun ? `run_id < ${firstIds.run + offsets.runId}` : first} order by ${isOfRun ? "run_id" : "job_id"}`,
    );
  }
}
