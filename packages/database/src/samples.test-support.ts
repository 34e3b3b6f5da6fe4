// What tests of the ledger write into it: runs and jobs as GitHub sends them, with only what a test changes to be said.
import type { Database } from "./open-database.ts";
import { selectRepositories } from "./repositories.ts";

export type Json = Readonly<Record<string, unknown>>;

export const repositoryId = 700_000_001;
/** Above 2^32, as GitHub's ids are by now. */
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
