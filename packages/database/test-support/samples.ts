// Sample runs and jobs as GitHub sends them; a test states only what it changes.

import type { Database } from "../src/connection/open-database.ts";
import { selectRepositories } from "../src/ledger/repositories.ts";
import type { LogRow } from "../src/rows/rows.ts";

export type Json = Readonly<Record<string, unknown>>;

export const repositoryId = 700_000_001;
/** Above 2^32, like GitHub's present ids. */
export const runId = 26_365_060_973;
export const jobId = 61_901_817_921;

/** A repository of the ledger, selected. */
export async function addRepository(db: Database, repository_id = repositoryId, full_name = "acme/app"): Promise<void> {
  await selectRepositories(db, [{ repository_id, full_name, is_private: false }]);
}

export function runObject(changes: Json = {}): Json {
  return {
    id: runId,
    name: "CI",
    run_number: 7,
    run_attempt: 1,
    workflow_id: 90_000_001,
    path: ".github/workflows/ci.yml",
    event: "push",
    status: "completed",
    conclusion: "success",
    head_branch: "main",
    head_sha: "8a1f".repeat(10),
    created_at: "2026-05-01T10:00:00Z",
    updated_at: "2026-05-01T10:05:00Z",
    run_started_at: "2026-05-01T10:00:00Z",
    actor: { id: 1, login: "mona" },
    triggering_actor: { id: 1, login: "mona" },
    repository: { id: repositoryId, full_name: "acme/app" },
    ...changes,
  };
}

export function jobObject(changes: Json = {}): Json {
  return {
    id: jobId,
    run_id: runId,
    run_attempt: 1,
    name: "build",
    workflow_name: "CI",
    head_branch: "main",
    head_sha: "8a1f".repeat(10),
    status: "completed",
    conclusion: "success",
    created_at: "2026-05-01T10:00:00Z",
    started_at: "2026-05-01T10:00:10Z",
    completed_at: "2026-05-01T10:04:00Z",
    runner_id: 1_000_000_007,
    runner_name: "GitHub Actions 7",
    runner_group_id: 2,
    runner_group_name: "GitHub Actions",
    labels: ["ubuntu-24.04"],
    steps: [stepObject(1), stepObject(2), stepObject(9)],
    html_url: "https://github.com/acme/app/actions/runs/1/job/2",
    ...changes,
  };
}

export function stepObject(number: number, changes: Json = {}): Json {
  return {
    number,
    name: `step ${number}`,
    status: "completed",
    conclusion: "success",
    started_at: "2026-05-01T03:00:10.000-07:00",
    completed_at: "2026-05-01T10:01:00.000Z",
    ...changes,
  };
}

/** The log state of the sample job, by one version of its record. */
export function logRow({ state, version, job_id = jobId, reason = "deleted", flags = [] }: LogEnd): LogRow {
  const hash = `${job_id}${version}`.padStart(64, "0");
  const common = {
    job_id,
    log_flags: flags,
    copied_from_job_id: null,
    log_version_id: null,
    record_key: `records/github.com/${repositoryId}/${runId}/${job_id}.${version === 1 ? "" : `${version}.`}json`,
    record_version: version,
    record_sha256: hash,
    extraction_version: null,
    object_steps: null,
  };
  if (state === "absent") {
    const nothing = { log_key: null, raw_bytes: null, raw_sha256: null, stored_bytes: null, stored_sha256: null, lines: null };
    return {
      ...common,
      ...nothing,
      log_state: state,
      log_reason: reason,
      first_line_at: null,
      last_line_at: null,
      archived_at: null,
    };
  }
  return {
    ...common,
    log_state: state,
    log_reason: null,
    log_key: `logs/github.com/${repositoryId}/${runId}/${job_id}.log.zst`,
    raw_bytes: 5_000_000_000 + version,
    raw_sha256: hash,
    stored_bytes: 1_000,
    stored_sha256: hash,
    lines: 12,
    first_line_at: "2026-05-01T10:00:10.1234567Z",
    last_line_at: "2026-05-01T10:04:00.1234567Z",
    archived_at: "2026-05-01T10:05:00.000Z",
  };
}

type LogEnd = {
  readonly state: "archived" | "absent";
  readonly version: number;
  readonly job_id?: number;
  readonly reason?: "deleted" | "empty" | "expired";
  readonly flags?: LogRow["log_flags"];
};
