// A year of a large archive, as GitHub would have reported it: runs, jobs and the records of their logs, in parts of equal size, from a
// seed. 300 repositories by Zipf's law, 1.75 jobs a run, 10 steps a job, 5 action uses, 1 annotation.

import type { LogRecord } from "@actions-archive/archive/record/record";
import type { JobRef } from "@actions-archive/core/ids";
import { createRandom, hexOf, type Random } from "@actions-archive/github-simulator/random";

export const host = "github.com";
export const repositories = Array.from({ length: 300 }, (_, index) => ({
  repository_id: 700_000_001 + index * 977,
  full_name: `org-${index % 12}/service-${index}`,
  is_private: index % 3 === 0,
}));

export const yearStart = Date.UTC(2025, 10, 1);
const yearMs = 365 * 24 * 3_600_000;
export const yearEnd = yearStart + yearMs;
/** Ids of 2025 and 2026, which grow with time. Job ids are shared with all of github.com, so ours are sparse. */
export const firstIds = { run: 18e9, job: 60e9 };
const idsOfYear = { run: 10e9, job: 30e9 };

export type Shape = { readonly seed: string; readonly parts: number; readonly jobsPerPart: number };

export type GeneratedJob = {
  readonly ref: JobRef;
  readonly run_attempt: number;
  readonly job: LogRecord["job"];
  /** Undefined while the log is pending, and when it failed. */
  readonly record: Omit<LogRecord, "schema_version"> | undefined;
};

export type GeneratedRun = {
  readonly repository_id: number;
  readonly run: { readonly id: number } & Readonly<Record<string, unknown>>;
  readonly jobs: readonly GeneratedJob[];
};

/** @returns the distance in time and ids between consecutive parts. */
export function partOffsets({ parts }: Shape): { readonly ms: number; readonly runId: number; readonly jobId: number } {
  return { ms: Math.floor(yearMs / parts), runId: Math.floor(idsOfYear.run / parts), jobId: Math.floor(idsOfYear.job / parts) };
}

/** @returns the runs of a part, oldest first. @param part from 0 */
export function* generatePart(shape: Shape, part: number): Generator<GeneratedRun> {
  const random = createRandom(shape.seed, part);
  const offsets = partOffsets(shape);
  const pickRepository = zipf(repositories, random);
  for (let made = 0; made < shape.jobsPerPart;) {
    const repository = pickRepository();
    const place = made / shape.jobsPerPart;
    const count = Math.min(jobsOfRun(random), shape.jobsPerPart - made);
    const at = {
      repository,
      createdMs: yearStart + part * offsets.ms + Math.floor(place * offsets.ms),
      runId: firstIds.run + part * offsets.runId + Math.floor(place * offsets.runId),
      jobId: firstIds.job + part * offsets.jobId + Math.floor(place * offsets.jobId),
      // Some of the newest logs are still pending.
      pending: part === shape.parts - 1 && place > 0.99 ? 0.2 : 0,
    };
    yield generateRun(random, at, count);
    made += count;
  }
}

type Place = {
  readonly repository: (typeof repositories)[number];
  readonly createdMs: number;
  readonly runId: number;
  readonly jobId: number;
  readonly pending: number;
};

function generateRun(random: Random, at: Place, count: number): GeneratedRun {
  const { repository, createdMs, runId } = at;
  const workflow = random.int(1, 6);
  // A rerun of failed jobs: the last job is of the second attempt.
  const attempts = count > 1 && random.chance(0.06) ? 2 : 1;
  const common = {
    head_branch: random.chance(0.4) ? "main" : `feature/${random.int(1, 400)}`,
    head_sha: hexOf(40, runId),
  };
  const jobs = Array.from({ length: count }, (_, index) => {
    const run_attempt = attempts === 2 && index === count - 1 ? 2 : 1;
    return generateJob(random, at, { index, workflow, run_attempt, common });
  });
  const repositoryObject = renderRepository(repository);
  const run = {
    id: runId,
    name: `Workflow ${workflow}`,
    node_id: `WFR_${runId}`,
    path: `.github/workflows/workflow-${workflow}.yml`,
    run_number: random.int(1, 90_000),
    run_attempt: attempts,
    workflow_id: 90_000_000 + workflow,
    event: random.pick(["push", "push", "pull_request", "pull_request", "schedule", "workflow_dispatch"]),
    status: "completed",
    conclusion: jobs.some(({ job }) => job["conclusion"] === "failure") ? "failure" : "success",
    ...common,
    created_at: iso(createdMs),
    updated_at: iso(createdMs + 900_000),
    run_started_at: iso(createdMs),
    actor: renderUser(random.int(1, 500)),
    triggering_actor: renderUser(random.int(1, 500)),
    repository: repositoryObject,
    head_repository: repositoryObject,
  };
  return { repository_id: repository.repository_id, run, jobs };
}

type JobPlace = {
  readonly index: number;
  readonly workflow: number;
  readonly run_attempt: number;
  readonly common: Readonly<Record<string, string>>;
};

function generateJob(random: Random, at: Place, { index, workflow, run_attempt, common }: JobPlace): GeneratedJob {
  const { repository_id, full_name } = at.repository;
  const ref = { repository_id, run_id: at.runId, job_id: at.jobId + index * 3 };
  const isSkipped = random.chance(0.1);
  const startedMs = at.createdMs + random.int(4, 90) * 1000 + (run_attempt - 1) * 600_000;
  const steps = isSkipped ? [] : generateSteps(random, startedMs);
  const completedMs = startedMs + steps.length * 20_000;
  const conclusion = isSkipped ? "skipped" : random.pick(["success", "success", "success", "success", "failure", "cancelled"]);
  const url = `https://api.github.com/repos/${full_name}/actions`;
  const job = {
    id: ref.job_id,
    run_id: ref.run_id,
    workflow_name: `Workflow ${workflow}`,
    ...common,
    run_url: `${url}/runs/${ref.run_id}`,
    run_attempt,
    node_id: `CR_kwDO${ref.job_id}`,
    url: `${url}/jobs/${ref.job_id}`,
    html_url: `https://github.com/${full_name}/actions/runs/${ref.run_id}/job/${ref.job_id}`,
    status: "completed",
    conclusion,
    created_at: iso(at.createdMs),
    started_at: iso(startedMs),
    completed_at: iso(completedMs),
    name: `${random.pick(["build", "test", "lint", "deploy"])} (node ${18 + 2 * index}, ubuntu-24.04)`,
    steps,
    check_run_url: `https://api.github.com/repos/${full_name}/check-runs/${ref.job_id}`,
    labels: ["ubuntu-24.04"],
    runner_id: isSkipped ? 0 : 1_000_000_000 + random.int(1, 9_000_000),
    runner_name: isSkipped ? "" : `GitHub Actions ${random.int(1_000_000_000, 1_009_000_000)}`,
    runner_group_id: isSkipped ? 0 : 2,
    runner_group_name: isSkipped ? "" : "GitHub Actions",
  };
  const record = generateLog(random, at, { ref, isSkipped, startedMs, steps: steps.length });
  const known = { job, job_source: "listing" as const, job_received_at: iso(completedMs + 60_000) };
  const story = { host, repository: full_name, ...ref, run_attempt, last_listed_attempt: run_attempt };
  const end = { decided_at: iso(completedMs + 120_000), previous_sha256: null };
  return { ref, run_attempt, job, record: record && { ...story, ...known, ...record, ...end } };
}

function generateSteps(random: Random, startedMs: number): Record<string, string | number>[] {
  const count = random.chance(0.03) ? random.int(20, 60) : random.int(7, 13);
  return Array.from({ length: count }, (_, index) => ({
    name: index === 0 ? "Set up job" : `Run ${random.pick(actions).name} for part ${index}`,
    status: "completed",
    conclusion: random.chance(0.1) ? "skipped" : "success",
    number: index + 1,
    started_at: iso(startedMs + index * 20_000),
    completed_at: iso(startedMs + index * 20_000 + random.int(0, 20) * 1000),
  }));
}

const actions = Array.from({ length: 120 }, (_, index) => ({
  name: `${["actions", "docker", "aws-actions", "acme"][index % 4]}/action-${index}`,
  ref: `v${1 + (index % 5)}`,
  sha: hexOf(40, "action", index),
}));

type LogPlace = { readonly ref: JobRef; readonly isSkipped: boolean; readonly startedMs: number; readonly steps: number };
type LogPart = Pick<LogRecord, "log" | "sections" | "action_uses" | "annotations" | "runner" | "token_permissions">;

function generateLog(random: Random, at: Place, { ref, isSkipped, startedMs, steps }: LogPlace): LogPart | undefined {
  if (random.chance(at.pending) || random.chance(0.001)) return undefined;
  if (isSkipped) return { log: { state: "absent", reason: "not_run", copied_from: null } };
  if (random.chance(0.03))
    return { log: { state: "absent", reason: random.pick(["expired", "expired", "deleted"]), copied_from: null } };
  const linesOfStep = random.int(5, 200);
  const lines = steps * linesOfStep;
  const time = (line: number) => `${iso(startedMs + line * 10).slice(0, 19)}.${String(line % 1e7).padStart(7, "0")}Z`;
  const pickAction = zipf(actions, random);
  return {
    log: {
      state: "archived",
      flags: random.chance(0.01) ? ["no_end_marker"] : [],
      key: `logs/${host}/${ref.repository_id}/${ref.run_id}/${ref.job_id}.log.zst`,
      version_id: null,
      raw_bytes: lines * 90,
      raw_sha256: hexOf(64, "raw", ref.job_id),
      stored_bytes: lines * 12,
      stored_sha256: hexOf(64, "stored", ref.job_id),
      lines,
      first_time: time(0),
      last_time: time(lines),
      oddities: { bom: true, crlf: 0, nul: 0, lines_without_time: 0 },
    },
    sections: Array.from({ length: steps }, (_, index) => ({
      step_number: index + 1,
      first_line: index * linesOfStep + 1,
      line_count: linesOfStep,
      raw_start: index * linesOfStep * 90,
      raw_bytes: linesOfStep * 90,
    })),
    action_uses: Array.from({ length: random.int(3, 7) }, (_, index) => {
      const { name, ref: tag, sha } = pickAction();
      return { step_number: null, action: name, ref: tag, sha, line_number: 10 + index, used_at: time(10 + index) };
    }),
    runner: { version: "2.330.0", os: "Ubuntu", image: "ubuntu-24.04", image_version: `2026${random.int(10, 12)}01.1.0` },
    token_permissions: { Contents: "read", Metadata: "read", Packages: random.pick(["read", "write"]) },
    annotations: Array.from({ length: random.chance(0.3) ? random.int(1, 6) : 0 }, (_, index) => ({
      step_number: random.int(1, steps),
      level: random.pick(["error", "warning", "warning", "notice"]),
      line_number: 100 + index,
      message: `Process completed with exit code ${random.int(1, 140)}: see https://github.com/org/service/wiki/${index} for help.`,
    })),
  };
}

function jobsOfRun(random: Random): number {
  const chance = random.next();
  if (chance < 0.68) return 1;
  if (chance < 0.85) return 2;
  if (chance < 0.93) return 3;
  if (chance < 0.97) return 4;
  return chance < 0.995 ? 8 : 24;
}

/** @returns a function that draws the item at rank n 1/n as often as the first. */
function zipf<T>(items: readonly T[], random: Random): () => T {
  let sum = 0;
  const until = items.map((_, index) => (sum += 1 / (index + 1)));
  return () => {
    const chance = random.next() * sum;
    const item = items[until.findIndex((end) => chance < end)];
    if (item === undefined) throw new RangeError("nothing to pick from");
    return item;
  };
}

function renderUser(number: number) {
  const url = `https://api.github.com/users/user-${number}`;
  const parts = ["followers", "following", "gists", "starred", "subscriptions", "orgs", "repos", "events", "received_events"];
  return {
    login: `user-${number}`,
    id: number,
    url,
    ...Object.fromEntries(parts.map((part) => [`${part}_url`, `${url}/${part}`])),
  };
}

const repositoryParts =
  "forks keys collaborators teams hooks issue_events events assignees branches tags git_blobs git_tags git_refs trees statuses languages stargazers contributors subscribers subscription commits git_commits comments issue_comment contents compare merges archive downloads issues pulls milestones notifications labels releases deployments".split(
    " ",
  );

// The repository's links, twice, are most of a run object's bytes.
function renderRepository({ repository_id, full_name, is_private }: (typeof repositories)[number]) {
  const url = `https://api.github.com/repos/${full_name}`;
  const links = Object.fromEntries(repositoryParts.map((part) => [`${part}_url`, `${url}/${part}`]));
  return {
    id: repository_id,
    name: full_name.split("/")[1],
    full_name,
    private: is_private,
    owner: renderUser(7),
    url,
    ...links,
  };
}

function iso(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}
