// Kinds of runs at GitHub, including odd ones. Each pattern creates one run. Generated worlds draw from all of them, the demo has each at
// least once.

import type { Random } from "../random.ts";
import { type Builder, endOf } from "./builder.ts";
import type { Owner, Repository, Run } from "./model.ts";
import { addRerun } from "./rerun.ts";

export type PatternContext = {
  readonly builder: Builder;
  readonly repository: Repository;
  readonly createdAtMs: number;
  readonly random: Random;
  /** Jobs that an ordinary run has. */
  readonly jobs: number;
  /** A fork of the repository, for pull requests. */
  readonly fork: Repository;
};

export type Pattern = (context: PatternContext) => Run;

const systems = ["ubuntu-24.04", "ubuntu-22.04", "windows-2025", "macos-15", "ubuntu-24.04-arm"];

/** Jobs of one matrix, all passed. */
export const matrix: Pattern = ({ builder, repository, createdAtMs, jobs }) => {
  const run = builder.run({ repository, createdAtMs });
  for (let index = 0; index < jobs; index++) {
    const system = systems[index % systems.length] ?? "ubuntu-24.04";
    builder.job(run, { name: `test (${system}, ${18 + 2 * Math.floor(index / systems.length)})`, labels: [system] });
  }
  return run;
};

/** A job fails, and a job that needs it is skipped; the skipped matrix keeps its unexpanded name. */
export const failed: Pattern = ({ builder, repository, createdAtMs }) => {
  const run = builder.run({ repository, createdAtMs });
  builder.job(run, { name: "lint" });
  builder.job(run, { name: "build", conclusion: "failure", steps: { mainName: "set -euo pipefail; for f in scripts/*.sh; do" } });
  builder.jobWithoutRunner(run, { name: "deploy (${{ matrix.region }})", conclusion: "skipped" });
  // A second before it was created, as GitHub shows for some skipped jobs.
  builder.jobWithoutRunner(run, { name: "notify", conclusion: "skipped", queueMs: 0 });
  return run;
};

/** Names of reusable workflows, nested; self-hosted runners. */
export const reusable: Pattern = ({ builder, repository, createdAtMs, random }) => {
  const path = `${repository.owner.login}/workflows/.github/workflows/deploy.yml@v2`;
  const run = builder.run({
    repository,
    createdAtMs,
    workflow: "Release",
    referencedWorkflows: [{ path, sha: "8a1f".repeat(10), ref: "refs/tags/v2" }],
  });
  const runner = { id: random.int(10, 99), name: "rack-7", groupId: 3, groupName: "datacenter" };
  const labels = ["self-hosted", "linux", "x64"];
  const style = { waitingLines: true };
  builder.job(run, { name: "release / build", style });
  builder.job(run, { name: "release / deploy-prod / build-ecr", labels, runner, style });
  builder.job(run, { name: "release / deploy-prod / rollout (eu-west-1)", labels, runner: { ...runner, name: "" } });
  return run;
};

/** All jobs rerun: every job again in attempt 2. */
export const rerunAll: Pattern = (context) => {
  const run = matrix({ ...context, jobs: 2 });
  addRerun(context.builder, run, { atMs: endOf(run) + context.random.int(2, 30) * 60_000 });
  return run;
};

/** Failed jobs rerun: the passed ones appear under new ids. */
export const rerunFailed: Pattern = (context) => {
  const run = failed(context);
  addRerun(context.builder, run, { atMs: endOf(run) + 240_000, failedOnly: true, conclusion: "failure" });
  addRerun(context.builder, run, { atMs: endOf(run) + 600_000, failedOnly: true });
  return run;
};

/** Failed jobs rerun: the passed ones keep their ids. */
export const rerunFailedSameIds: Pattern = (context) => {
  const run = failed(context);
  addRerun(context.builder, run, { atMs: endOf(run) + 300_000, failedOnly: true, copies: "same-ids" });
  return run;
};

/** Cancelled twice: in the middle of a job, and before another had a runner. */
export const cancelled: Pattern = ({ builder, repository, createdAtMs }) => {
  const run = builder.run({ repository, createdAtMs });
  builder.job(run, { name: "integration", conclusion: "cancelled", durationMs: 95_000 });
  builder.jobWithoutRunner(run, { name: "e2e", conclusion: "cancelled", labels: ["ubuntu-24.04"], queueMs: 90_000 });
  builder.jobWithoutRunner(run, {
    name: "e2e (self-hosted)",
    conclusion: "cancelled",
    labels: ["self-hosted", "gpu"],
    queueMs: 95_000,
    overrides: { started_at: null },
  });
  builder.jobWithoutRunner(run, {
    name: "load",
    conclusion: "cancelled",
    queueMs: 95_000,
    overrides: { runner_id: 0, runner_name: "", runner_group_id: 0, runner_group_name: "" },
  });
  return run;
};

/** A linter attached a check run to the suite, and GitHub lists it as a job. */
export const checkRun: Pattern = ({ builder, repository, createdAtMs }) => {
  const run = builder.run({ repository, createdAtMs, event: "pull_request" });
  builder.job(run, { name: "lint" });
  builder.jobWithoutRunner(run, { name: "super-linter report", conclusion: "failure", queueMs: 60_000 });
  builder.jobWithoutRunner(run, { name: "coverage/project", conclusion: "neutral", queueMs: 61_000 });
  return run;
};

/** A pull request of an existing fork. */
export const forkPullRequest: Pattern = ({ builder, repository, createdAtMs, fork }) => {
  const actor: Owner = fork.owner;
  const run = builder.run({ repository, createdAtMs, event: "pull_request", headRepository: fork, headBranch: "patch-1", actor });
  builder.job(run, { name: "build" });
  builder.job(run, { name: "build" });
  return run;
};

/** A pull request of a fork that was deleted since, with its branch. */
export const lostFork: Pattern = ({ builder, repository, createdAtMs }) => {
  const run = builder.run({ repository, createdAtMs, event: "pull_request", headRepository: null, headBranch: null });
  builder.job(run, { name: "build", overrides: { head_branch: null, workflow_name: null, html_url: null } });
  return run;
};

/** No jobs: a first-time contributor waits for approval. */
export const actionRequired: Pattern = ({ builder, repository, createdAtMs, fork }) =>
  builder.run({ repository, createdAtMs, event: "pull_request", headRepository: fork, emptyConclusion: "action_required" });

/** No jobs: the workflow file is invalid. */
export const startupFailure: Pattern = ({ builder, repository, createdAtMs }) =>
  builder.run({ repository, createdAtMs, event: "push", emptyConclusion: "startup_failure" });

/** GitHub lists no steps although the job ran and has a log; other fields are missing or odd. */
export const oddFields: Pattern = ({ builder, repository, createdAtMs }) => {
  const run = builder.run({ repository, createdAtMs, workflow: "Nightly", event: "schedule" });
  builder.job(run, { name: "archive", steps: { kind: "none" } });
  builder.job(run, {
    name: "old service",
    overrides: { created_at: undefined, workflow_name: undefined, head_branch: undefined },
  });
  builder.job(run, { name: "clock skew", steps: { endsBeforeStart: true } });
  builder.job(run, {
    name: "../../etc/passwd\u202Egpj.exe · 日本語 'quoted\" <b>",
    runner: { id: 7, name: "", groupId: 0, groupName: "" },
  });
  builder.job(run, { name: "timeout", conclusion: "timed_out" });
  return run;
};

/** Every oddity of a log's text. */
export const oddLogs: Pattern = ({ builder, repository, createdAtMs }) => {
  const run = builder.run({ repository, createdAtMs, workflow: "Nightly", event: "schedule" });
  const plain = {
    bom: false,
    crlf: false,
    nul: false,
    untimedLines: false,
    finalNewline: true,
    waitingLines: false,
    nestedGroups: false,
  };
  builder.job(run, { name: "bom", style: { ...plain, bom: true } });
  builder.job(run, { name: "crlf", style: { ...plain, crlf: true } });
  builder.job(run, { name: "nul", style: { ...plain, nul: true } });
  builder.job(run, { name: "several lines", style: { ...plain, untimedLines: true, finalNewline: false } });
  builder.job(run, { name: "waiting", style: { ...plain, waitingLines: true } });
  builder.job(run, { name: "composite", style: { ...plain, nestedGroups: true } });
  builder.job(run, { name: "long line", style: { ...plain, longLine: 300_000 }, bytes: 350_000 });
  builder.job(run, { name: "cut short", style: { ...plain, endMarker: false } });
  builder.job(run, { name: "silent", log: { kind: "text", content: Buffer.alloc(0) } });
  return run;
};

/** The run's logs were deleted. */
export const logsDeleted: Pattern = (context) => {
  const run = matrix({ ...context, jobs: 2 });
  run.logsDeleted = true;
  return run;
};

/** The log was never uploaded: the link leads to a missing blob. */
export const lostBlob: Pattern = ({ builder, repository, createdAtMs }) => {
  const run = builder.run({ repository, createdAtMs });
  builder.job(run, { name: "build" });
  builder.job(run, { name: "runner lost", conclusion: "failure", log: { kind: "blob-missing" } });
  return run;
};

/** A run near the end of the repository's retention, whose logs are already removed: 410. */
export const expired: Pattern = ({ builder, repository, createdAtMs }) => {
  const run = builder.run({ repository, createdAtMs: createdAtMs - Math.floor(repository.retentionDays * 0.91 * 86_400) * 1000 });
  builder.job(run, { name: "build", log: { kind: "expired" } });
  builder.job(run, { name: "test", log: { kind: "expired" } });
  return run;
};

/** The patterns that generated worlds draw from, with their weights. */
export const weightedPatterns: readonly (readonly [Pattern, number])[] = [
  [matrix, 50],
  [failed, 12],
  [reusable, 8],
  [rerunAll, 3],
  [rerunFailed, 3],
  [rerunFailedSameIds, 1],
  [cancelled, 4],
  [checkRun, 4],
  [forkPullRequest, 4],
  [lostFork, 1],
  [actionRequired, 2],
  [startupFailure, 1],
  [oddFields, 2],
  [oddLogs, 2],
  [logsDeleted, 1],
  [lostBlob, 1],
  [expired, 1],
];
