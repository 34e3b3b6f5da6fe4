// Writes the auditor's tables. Rows are merged field by field, independent of arrival: a completed status outranks an open one, null
// never replaces a value (`greatest` ignores it), steps are merged by number, and an archived log outranks an absent one. `greatest`
// decides the rest by content alone, so that any order and repetition of deliveries gives the same rows: by bytes, in collation C,
// since a rebuilt database may have another locale.

import type { AbsentReason, LogFlag } from "@actions-archive/core/states";
import { sql } from "kysely";

import type { Database } from "../connection/open-database.ts";
import { archiveSchema, type Schema } from "../connection/schema-name.ts";
import { divideIntoRounds, unnest } from "../connection/unnest.ts";
import { type JobColumns, jobColumns } from "./job-rows.ts";
import { makePartitions } from "./partitions.ts";

/** A job to load: its object as GitHub sent it, and the attempts that listed it. */
export type JobInput = {
  readonly repository_id: number;
  readonly run_attempt: number;
  readonly last_listed_attempt: number;
  readonly object: unknown;
};

export type LogRow = {
  job_id: number;
  log_state: "archived" | "absent";
  log_reason: AbsentReason | null;
  log_flags: readonly LogFlag[];
  copied_from_job_id: number | null;
  log_key: string | null;
  log_version_id: string | null;
  raw_bytes: number | null;
  raw_sha256: string | null;
  stored_bytes: number | null;
  stored_sha256: string | null;
  lines: number | null;
  first_line_at: string | null;
  last_line_at: string | null;
  archived_at: string | null;
  record_key: string;
  record_version: number;
  record_sha256: string;
  /** Null for an absent log, or if the record lacks it. */
  extraction_version: number | null;
  /** `fullnessOf` the record's job object; null if it is none. */
  object_steps: number | null;
};

type JobRow = Omit<JobColumns, "labels" | "steps" | "run_attempt"> & {
  repository_id: number;
  run_attempt: number;
  last_listed_attempt: number;
  labels: readonly string[];
};

const jobTypes = {
  job_id: "bigint",
  repository_id: "bigint",
  run_id: "bigint",
  run_attempt: "integer",
  last_listed_attempt: "integer",
  workflow_name: "text",
  job_name: "text",
  head_branch: "text",
  head_sha: "text",
  status: "text",
  conclusion: "text",
  runner_id: "bigint",
  runner_name: "text",
  runner_group_id: "bigint",
  runner_group_name: "text",
  labels: "json",
  html_url: "text",
  created_at: "timestamptz",
  started_at: "timestamptz",
  completed_at: "timestamptz",
} as const;

const stepTypes = {
  job_id: "bigint",
  step_number: "integer",
  step_name: "text",
  status: "text",
  conclusion: "text",
  started_at: "timestamptz",
  completed_at: "timestamptz",
} as const;

const logTypes = {
  job_id: "bigint",
  log_state: "text",
  log_reason: "text",
  log_flags: "json",
  copied_from_job_id: "bigint",
  log_key: "text",
  log_version_id: "text",
  raw_bytes: "bigint",
  raw_sha256: "text",
  stored_bytes: "bigint",
  stored_sha256: "text",
  lines: "bigint",
  first_line_at: "timestamptz",
  last_line_at: "timestamptz",
  archived_at: "timestamptz",
  record_key: "text",
  record_version: "integer",
  record_sha256: "text",
  extraction_version: "integer",
  object_steps: "integer",
} as const;

/**
 * Upserts jobs and their steps. Call it in a transaction. Idempotent.
 * @param schema one other than `archive` has the same tables, without partitions.
 * @returns the ids of the written jobs.
 */
export async function upsertJobs(trx: Database, stories: readonly JobInput[], schema: Schema = archiveSchema): Promise<number[]> {
  const parsed = stories.flatMap((story) => {
    const columns = jobColumns(story.object);
    return columns ? [{ story, columns }] : [];
  });
  const jobs = parsed.map(jobRow);
  if (jobs.length === 0) return [];
  if (schema === archiveSchema)
    await makePartitions(
      trx,
      jobs.map(({ job_id }) => job_id),
    );
  for (const round of divideIntoRounds(jobs, ({ job_id }) => [job_id])) await writeJobs(trx, schema, round);
  const steps = parsed.flatMap(({ columns }) => columns.steps.map((step) => ({ job_id: columns.job_id, ...step })));
  for (const round of divideIntoRounds(steps, ({ job_id, step_number }) => [job_id, step_number]))
    await writeSteps(trx, schema, round);
  return [...new Set(jobs.map(({ job_id }) => job_id))];
}

function jobRow({ story, columns }: { story: JobInput; columns: JobColumns }): JobRow {
  const { steps: _steps, run_attempt: _echoedAttempt, ...rest } = columns;
  return {
    ...rest,
    repository_id: story.repository_id,
    run_attempt: story.run_attempt,
    last_listed_attempt: story.last_listed_attempt,
  };
}

async function writeJobs(trx: Database, schema: Schema, rows: readonly JobRow[]): Promise<void> {
  await sql`
    insert into ${schema}.jobs (job_id, repository_id, run_id, run_attempt, last_listed_attempt, workflow_name, job_name, head_branch,
      head_sha, status, conclusion, runner_id, runner_name, runner_group_id, runner_group_name, labels, html_url, created_at,
      started_at, completed_at)
    select job_id, repository_id, run_id, run_attempt, last_listed_attempt, workflow_name, job_name, head_branch,
      head_sha, status, conclusion, runner_id, runner_name, runner_group_id, runner_group_name,
      array(select json_array_elements_text(labels)), html_url, created_at, started_at, completed_at
    from ${unnest(jobTypes, rows)}
    on conflict (job_id) do update set
      run_attempt = least(jobs.run_attempt, excluded.run_attempt),
      last_listed_attempt = greatest(jobs.last_listed_attempt, excluded.last_listed_attempt),
      workflow_name = greatest(jobs.workflow_name collate "C", excluded.workflow_name),
      job_name = greatest(jobs.job_name collate "C", excluded.job_name),
      head_branch = greatest(jobs.head_branch collate "C", excluded.head_branch),
      head_sha = greatest(jobs.head_sha collate "C", excluded.head_sha),
      status = case when 'completed' in (jobs.status, excluded.status) then 'completed' else greatest(jobs.status collate "C", excluded.status) end,
      conclusion = greatest(jobs.conclusion collate "C", excluded.conclusion),
      runner_id = greatest(jobs.runner_id, excluded.runner_id),
      runner_name = greatest(jobs.runner_name collate "C", excluded.runner_name),
      runner_group_id = greatest(jobs.runner_group_id, excluded.runner_group_id),
      runner_group_name = greatest(jobs.runner_group_name collate "C", excluded.runner_group_name),
      labels = greatest(jobs.labels collate "C", excluded.labels),
      html_url = greatest(jobs.html_url collate "C", excluded.html_url),
      created_at = greatest(jobs.created_at, excluded.created_at),
      started_at = greatest(jobs.started_at, excluded.started_at),
      completed_at = greatest(jobs.completed_at, excluded.completed_at),
      loaded_at = now()
  `.execute(trx);
}

async function writeSteps(
  trx: Database,
  schema: Schema,
  rows: readonly { job_id: number; step_number: number }[],
): Promise<void> {
  await sql`
    insert into ${schema}.steps (job_id, step_number, step_name, status, conclusion, started_at, completed_at)
    select job_id, step_number, step_name, status, conclusion, started_at, completed_at
    from ${unnest(stepTypes, rows)}
    on conflict (job_id, step_number) do update set
      step_name = greatest(steps.step_name collate "C", excluded.step_name),
      status = case when 'completed' in (steps.status, excluded.status) then 'completed' else greatest(steps.status collate "C", excluded.status) end,
      conclusion = greatest(steps.conclusion collate "C", excluded.conclusion),
      started_at = greatest(steps.started_at, excluded.started_at),
      completed_at = greatest(steps.completed_at, excluded.completed_at)
    where (steps.step_name, steps.status, steps.conclusion, steps.started_at, steps.completed_at)
      is distinct from (excluded.step_name, excluded.status, excluded.conclusion, excluded.started_at, excluded.completed_at)
  `.execute(trx);
}

/**
 * Upserts log states from their records. The jobs' rows must exist. Call it in a transaction, and `applyTombstones` after it.
 * Idempotent.
 */
export async function upsertLogs(trx: Database, logs: readonly LogRow[], schema: Schema = archiveSchema): Promise<void> {
  for (const round of divideIntoRounds(logs, ({ job_id }) => [job_id])) await writeLogs(trx, schema, round);
}

async function writeLogs(trx: Database, schema: Schema, rows: readonly LogRow[]): Promise<void> {
  await sql`
    insert into ${schema}.logs (job_id, log_state, log_reason, log_flags, copied_from_job_id, log_key, log_version_id, raw_bytes,
      raw_sha256, stored_bytes, stored_sha256, lines, first_line_at, last_line_at, archived_at, record_key, record_version, record_sha256,
      extraction_version, object_steps)
    select job_id, log_state, log_reason, array(select json_array_elements_text(log_flags)), copied_from_job_id, log_key,
      log_version_id, raw_bytes, raw_sha256, stored_bytes, stored_sha256, lines, first_line_at, last_line_at, archived_at,
      record_key, record_version, record_sha256, extraction_version, object_steps
    from ${unnest(logTypes, rows)}
    on conflict (job_id) do update set
      log_state = excluded.log_state,
      log_reason = excluded.log_reason,
      log_flags = excluded.log_flags,
      copied_from_job_id = excluded.copied_from_job_id,
      log_key = excluded.log_key,
      log_version_id = excluded.log_version_id,
      raw_bytes = excluded.raw_bytes,
      raw_sha256 = excluded.raw_sha256,
      stored_bytes = excluded.stored_bytes,
      stored_sha256 = excluded.stored_sha256,
      lines = excluded.lines,
      first_line_at = excluded.first_line_at,
      last_line_at = excluded.last_line_at,
      archived_at = excluded.archived_at,
      record_key = excluded.record_key,
      record_version = excluded.record_version,
      record_sha256 = excluded.record_sha256,
      extraction_version = excluded.extraction_version,
      object_steps = excluded.object_steps
    where (excluded.log_state = 'archived', excluded.record_version)
      -- Only a tombstone sets removed, and only for an archived log.
      > (logs.log_state = 'archived' or logs.log_reason = 'removed', logs.record_version)
  `.execute(trx);
}
