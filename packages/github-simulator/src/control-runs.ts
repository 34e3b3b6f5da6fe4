// Control over runs, jobs and logs: made, ended, started again, deleted, replaced, with the webhooks that follow from it.

import type { z } from "zod";

import type { controlInputs, ControlDeps } from "./control.ts";
import { latestAttempt } from "./world/builder.ts";
import { wholeSecond } from "./world/generate.ts";
import type { Job, Log, Repository, Run } from "./world/model.ts";
import { addRerun } from "./world/rerun.ts";
import { jobStatus } from "./world/timeline.ts";

type Input<Name extends keyof typeof controlInputs> = z.output<(typeof controlInputs)[Name]>;
export type RunIds = {
  readonly repositoryId: number;
  readonly runId: number;
  readonly attempt: number;
  readonly jobIds: readonly number[];
};

/** A run as a test needs it: waiting, running, or ended at a known moment. */
export function addTestRun(deps: ControlDeps, input: Input<"addRun">): RunIds {
  const { builder, clock, pump } = deps;
  const [login = "", name = ""] = input.repository.split("/");
  const repository = deps.world.findRepository(input.repository)?.repository ?? builder.repository(builder.owner(login), name);
  const queueMs = 5_000;
  const durationMs = input.durationSeconds * 1000;
  const nowMs = clock.nowMs();
  const elapsedMs = {
    queued: 0,
    in_progress: queueMs + 1_000,
    completed: input.completedSecondsAgo * 1000 + durationMs + queueMs + 1_000,
  }[input.state];
  const createdAtMs = input.state === "queued" ? nowMs - 1_000 : wholeSecond(nowMs - elapsedMs);
  const facts = {
    ...(input.workflow === undefined ? {} : { workflow: input.workflow }),
    ...(input.event === undefined ? {} : { event: input.event }),
  };
  const run = builder.run({ repository, createdAtMs, ...facts });
  for (const job of input.jobs) {
    const bytes = job.bytes === undefined ? {} : { bytes: job.bytes };
    if (job.conclusion === "skipped") builder.jobWithoutRunner(run, { name: job.name, conclusion: "skipped" });
    else if (input.state === "completed")
      builder.job(run, { name: job.name, conclusion: job.conclusion ?? "success", queueMs, durationMs, ...bytes });
    else
      builder.job(run, {
        name: job.name,
        durationMs: null,
        queueMs: input.state === "queued" ? 365 * 86_400_000 : queueMs,
        ...bytes,
      });
  }
  pump.plan(run, -Infinity);
  pump.pump();
  return idsOf(run);
}

/** Ends every job of the latest attempt that has not ended, now. */
export async function completeRun(deps: ControlDeps, { runId, conclusion }: Input<"completeRun">): Promise<RunIds> {
  const run = findRun(deps, runId);
  const nowMs = deps.clock.nowMs();
  for (const job of latestAttempt(run).jobs) {
    if (jobStatus(job, nowMs) === "completed") continue;
    job.startedAtMs = Math.min(job.startedAtMs ?? nowMs, nowMs - 1_000);
    job.completedAtMs = nowMs;
    job.conclusion = conclusion;
    await deps.webhooks.jobEvent(job, "completed");
  }
  await deps.webhooks.runEvent(run, "completed");
  return idsOf(run);
}

/** A new attempt, now. */
export function rerunRun(deps: ControlDeps, { runId, failedOnly, copies, state, conclusion }: Input<"rerun">): RunIds {
  const run = findRun(deps, runId);
  const attempt = addRerun(deps.builder, run, {
    atMs: wholeSecond(deps.clock.nowMs()),
    failedOnly,
    copies,
    conclusion: state === "completed" ? conclusion : null,
  });
  const nowMs = deps.clock.nowMs();
  for (const job of attempt.jobs) {
    if (job.attempt !== attempt.number || job.copyOf !== undefined) continue;
    job.startedAtMs = attempt.createdAtMs;
    if (state === "completed") job.completedAtMs = nowMs;
  }
  deps.pump.planAttempt(run, attempt, attempt.createdAtMs - 1);
  deps.pump.pump();
  return idsOf(run);
}

export function deleteRun(deps: ControlDeps, { runId, oncePaged }: Input<"deleteRun">): void {
  const run = findRun(deps, runId);
  if (oncePaged) run.deletedOncePaged = true;
  else run.deleted = true;
}

export function deleteLogs(deps: ControlDeps, runId: number): void {
  findRun(deps, runId).logsDeleted = true;
}

/** The logs of all attempts answer 410 from now on. */
export function expireLogs(deps: ControlDeps, runId: number): void {
  for (const attempt of findRun(deps, runId).attempts) for (const job of attempt.jobs) job.log = { kind: "expired" };
}

export function setLog(deps: ControlDeps, input: Input<"setLog">): void {
  findJob(deps, input.jobId).log = logOf(deps, input);
}

function logOf(deps: ControlDeps, { text, base64, kind, ofJobId }: Input<"setLog">): Log {
  if (text !== undefined) return { kind: "text", content: Buffer.from(text) };
  if (base64 !== undefined) return { kind: "text", content: Buffer.from(base64, "base64") };
  if (kind !== undefined) return { kind };
  if (ofJobId !== undefined) return { kind: "of-job", job: findJob(deps, ofJobId) };
  throw new RangeError("give text, base64, kind or ofJobId");
}

export function findRun({ world }: ControlDeps, runId: number): Run {
  const run = world.runs.get(runId);
  if (run === undefined) throw new RangeError(`no run ${runId}`);
  return run;
}

export function findJob({ world }: ControlDeps, jobId: number): Job {
  const job = world.jobs.get(jobId);
  if (job === undefined) throw new RangeError(`no job ${jobId}`);
  return job;
}

/** By name, hidden ones included. */
export function findRepository({ world }: ControlDeps, fullName: string): Repository {
  const wanted = fullName.toLowerCase();
  const hidden = world.repositories.find((each) => `${each.owner.login}/${each.name}`.toLowerCase() === wanted);
  const repository = world.findRepository(fullName)?.repository ?? hidden;
  if (repository === undefined) throw new RangeError(`no repository ${fullName}`);
  return repository;
}

function idsOf(run: Run): RunIds {
  const attempt = latestAttempt(run);
  return { repositoryId: run.repository.id, runId: run.id, attempt: attempt.number, jobIds: attempt.jobs.map((job) => job.id) };
}
