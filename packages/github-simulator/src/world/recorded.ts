// Adds recorded job objects and runs to the world unchanged, so that they are served as GitHub served them.

import { z } from "zod";

import type { Builder } from "./builder.ts";
import type { Attempt, Job, Log, Owner, Repository, Run } from "./model.ts";

const Text = z.string().nullish();

/** What the simulator must know of a recorded job. Everything else is served without being parsed. */
export const RecordedJob = z.looseObject({
  id: z.int().positive(),
  run_id: z.int().positive(),
  run_url: Text,
  url: Text,
  run_attempt: z.int().positive().nullish(),
  head_sha: Text,
  head_branch: Text,
  workflow_name: Text,
  status: Text,
  conclusion: Text,
  created_at: Text,
  started_at: Text,
  completed_at: Text,
  name: z.string(),
});
export type RecordedJob = z.output<typeof RecordedJob>;

export const RecordedRun = z.looseObject({
  id: z.int().positive(),
  url: z.string(),
  created_at: z.string(),
  head_sha: z.string(),
  workflow_id: z.int(),
  run_attempt: z.int().positive().nullish(),
});
export type RecordedRun = z.output<typeof RecordedRun>;

export type RecordedOptions = {
  readonly job: RecordedJob;
  readonly run?: RecordedRun;
  /** Its log; undefined: a text that fits the job's window is generated. */
  readonly log?: Log;
};

const plainStyle = {
  bom: true,
  crlf: false,
  nul: false,
  untimedLines: false,
  finalNewline: true,
  waitingLines: false,
  endMarker: true,
  longLine: 0,
  nestedGroups: false,
} as const;

/** Adds a recorded job, its run and its repository (from the job's URL) unless they exist. A known id is not changed. */
export function addRecordedJob(builder: Builder, { job, run: recordedRun, log }: RecordedOptions): Job {
  const known = builder.world.jobs.get(job.id);
  if (known !== undefined) return known;
  const run = builder.world.runs.get(job.run_id) ?? addRun(builder, job, recordedRun);
  const attempt = attemptOf(run, job.run_attempt ?? recordedRun?.run_attempt ?? 1);
  const startedAtMs = timeOf(job.started_at) ?? timeOf(job.created_at) ?? run.createdAtMs;
  const added: Job = {
    id: job.id,
    run,
    attempt: attempt.number,
    name: job.name,
    seed: `recorded/${job.id}`,
    createdAtMs: timeOf(job.created_at) ?? startedAtMs,
    startedAtMs,
    completedAtMs: timeOf(job.completed_at) ?? null,
    conclusion: job.conclusion === "success" ? "success" : "failure",
    labels: z.array(z.string()).catch([]).parse(job["labels"]),
    runner: { id: 1, name: "recorded", groupId: null, groupName: null },
    stepShape: { kind: "full", mainName: "" },
    log: log ?? { kind: "generated", bytes: 20_000, style: plainStyle },
    recorded: job,
  };
  attempt.jobs.push(added);
  return builder.world.addJob(added);
}

function addRun(builder: Builder, job: RecordedJob, recorded: RecordedRun | undefined): Run {
  const repository = repositoryOf(builder, recorded?.url ?? job.url ?? job.run_url ?? "");
  const createdAtMs = timeOf(recorded?.created_at) ?? timeOf(job.created_at) ?? timeOf(job.started_at) ?? 0;
  const workflow = { id: recorded?.workflow_id ?? 1, name: job.workflow_name ?? "CI", path: ".github/workflows/ci.yml" };
  return builder.world.addRun({
    id: job.run_id,
    repository,
    nameThen: `${repository.owner.login}/${repository.name}`,
    number: repository.runs.length + 1,
    workflow: repository.workflows.find((each) => each.name === workflow.name) ?? workflow,
    event: "push",
    title: "Recorded run",
    actor: builder.owner("mona", "User"),
    headBranch: job.head_branch ?? null,
    headSha: job.head_sha ?? "0".repeat(40),
    headRepository: repository,
    referencedWorkflows: [],
    createdAtMs,
    attempts: [],
    deleted: false,
    logsDeleted: false,
    ...(recorded === undefined ? {} : { recorded }),
  });
}

// Attempts before the recorded one exist without jobs, as if GitHub had deleted them.
function attemptOf(run: Run, number: number): Attempt {
  for (let next = run.attempts.length + 1; next <= number; next++) {
    run.attempts.push({ number: next, createdAtMs: run.createdAtMs, triggeringActor: run.actor, jobs: [] });
  }
  const attempt = run.attempts[number - 1];
  if (attempt === undefined) throw new RangeError(`run ${run.id} has no attempt ${number}`);
  return attempt;
}

function repositoryOf(builder: Builder, url: string): Repository {
  const [, login = "replayed", name = "logs"] = /\/repos\/([^/]+)\/([^/]+)\//.exec(url) ?? [];
  const lookup = builder.world.findRepository(`${login}/${name}`);
  const owner: Owner = builder.owner(login);
  return lookup?.repository ?? builder.repository(owner, name);
}

function timeOf(text: string | null | undefined): number | undefined {
  const ms = text ? Date.parse(text) : Number.NaN;
  return Number.isNaN(ms) ? undefined : ms;
}
