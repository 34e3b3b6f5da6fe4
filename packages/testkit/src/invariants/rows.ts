// Reads the auditor's views and the ledger for the invariant checks.

import { type Client, types } from "pg";

import type { AttemptState } from "./oracle.ts";

const int8Oid = 20;
/** Parses ids and counts as numbers, whatever the client's own parsers: GitHub's are far below 2^53. */
const getTypeParser = (oid: number, format?: "text" | "binary") => (oid === int8Oid ? Number : types.getTypeParser(oid, format));

/** @returns the rows of a query, with bigint as number. */
export async function query<Row extends object>(client: Client, text: string, values: readonly unknown[] = []): Promise<Row[]> {
  return (await client.query<Row>({ text, values: [...values], types: { getTypeParser } })).rows;
}

export type JobRow = {
  job_id: number;
  run_id: number;
  repository_id: number;
  run_attempt: number;
  conclusion: string | null;
  log_state: string;
  log_reason: string | null;
  log_flags: string[];
  log_key: string | null;
  log_bytes: number | null;
  log_sha256: string | null;
};

export type Rows = {
  readonly jobs: readonly JobRow[];
  readonly byJob: ReadonlyMap<number, readonly JobRow[]>;
  /** By run, in order of attempts. */
  readonly states: ReadonlyMap<number, readonly AttemptState[]>;
  /** Logs with a tombstone. */
  readonly tombstones: ReadonlySet<string>;
  /** Damaged logs, and the logs that replace them. */
  readonly repairs: ReadonlySet<string>;
};

export async function readRows(client: Client): Promise<Rows> {
  const jobs = await query<JobRow>(
    client,
    `select job_id, run_id, repository_id, run_attempt, conclusion, log_state, log_reason, log_flags, log_key, log_bytes, log_sha256
    from audit.jobs`,
  );
  const attempts = await query<{ run_id: number; state: AttemptState }>(
    client,
    "select run_id, state from archive.attempts order by run_id, run_attempt",
  );
  const states = new Map<number, AttemptState[]>();
  for (const { run_id, state } of attempts) states.set(run_id, [...(states.get(run_id) ?? []), state]);
  const tombstones = await query<{ key: string }>(client, "select object_key as key from archive.tombstones");
  const repairs = await query<{ key: string }>(
    client,
    "select unnest(array[object_key, repaired_by]) as key from archive.damages where job_id is not null",
  );
  return {
    jobs,
    byJob: Map.groupBy(jobs, ({ job_id }) => job_id),
    states,
    tombstones: new Set(tombstones.map(({ key }) => key)),
    repairs: new Set(repairs.map(({ key }) => key)),
  };
}
