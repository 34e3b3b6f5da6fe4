// Control functions for runs, jobs and logs: they create, complete, rerun, delete and replace, and send the resulting webhooks.

import type { ControlDeps, Input } from "./control-inputs.ts";
import { latestAttempt } from "./world/builder.ts";
import { wholeSecond } from "./world/generate.ts";
import type { Job, JobLag, Log, Repository, Run } from "./world/model.ts";
import { addRerun } from "./world/rerun.ts";
import { jobStatus, shownCompletedAtMs } from "./world/timeline.ts";

type RunFacts = Omit<Input<"addRun">, "runId">;
export type RunIds = {
  readonly repositoryId: number;
  readonly runId: number;
  readonly attempt: number;
  readonly jobIds: readonly number[];
};

/** Adds a run that is queued, in progress, or completed at a given time. */
export function addTestRun(deps: ControlDeps, { runId, ...facts }: Input<"addRun">): RunIds {
  const run = makeRun(deps, facts, runId);
  deps.pump.pump();
  return idsOf(run);
}

/** Adds `count` such runs, created at the same time. */
export function addTestRuns(deps: ControlDeps, { count, ...facts }: Input<"addRuns">): readonly RunIds[] {
  const runs = Array.from({ length: count }, () => makeRun(deps, facts));
  deps.pump.pump();
  return runs.map(idsOf);
}

const queueMs = 5_000;

function makeRun(deps: ControlDeps, input: RunFacts, id?: number): Run {
  const { builder, clock, pump } = deps;
  const [login = "", name = ""] = input.repository.split("/");
  const repository = deps.world.findRepository(input.repository)?.repository ?? builder.repository(builder.owner(login), name);
  const run = builder.run({
    repository,
    createdAtMs: input.createdAt === undefined ? createdAtMsOf(input, clock.nowMs()) : Date.parse(input.createdAt),
    ...(id === undefined ? {} : { id }),
    ...(input.workflow === undefined ? {} : { workflow: input.workflow }),
    ...(input.event === undefined ? {} : { event: input.event }),
    ...(input.listedAs === undefined ? {} : { listedAsMs: Date.parse(input.listedAs) }),
    ...(input.listedAfterSeconds === 0 ? {} : { listedFromMs: clock.nowMs() + input.listedAfterSeconds * 1000 }),
  });
  for (const job of input.jobs) setLag(addJob(deps, run, { job, input }), job);
  pump.plan(run, -Infinity);
  return run;
}

function createdAtMsOf({ state, completedSecondsAgo, durationSeconds }: RunFacts, nowMs: number): number {
  if (state === "queued") return nowMs - 1_000;
  if (state === "in_progress") return wholeSecond(nowMs - queueMs - 1_000);
  return wholeSecond(nowMs - (completedSecondsAgo + durationSeconds) * 1000 - queueMs - 1_000);
}

function addJob({ builder }: ControlDeps, run: Run, { job, input }: { job: RunFacts["jobs"][number]; input: RunFacts }): Job {
  const { name } = job;
  const bytes = job.bytes === undefined ? {} : { bytes: job.bytes };
  if (job.conclusion === "skipped") return builder.jobWithoutRunner(run, { name, conclusion: "skipped" });
  if (input.state !== "completed") {
    return builder.job(run, { name, durationMs: null, queueMs: input.state === "queued" ? 365 * 86_400_000 : queueMs, ...bytes });
  }
  const durationMs = input.durationSeconds * 1000;
  return builder.job(run, { name, conclusion: job.conclusion ?? "success", queueMs, durationMs, ...bytes });
}

/** Completes every job of the latest attempt that has not completed. */
export async function completeRun(deps: ControlDeps, { runId, conclusion, jobs }: Input<"completeRun">): Promise<RunIds> {
  const run = findRun(deps, runId);
  const nowMs = deps.clock.nowMs();
  const running = latestAttempt(run).jobs.filter((job) => jobStatus(job, nowMs) !== "completed");
  setLags(running, jobs);
  for (const job of running) {
    job.startedAtMs = Math.min(job.startedAtMs ?? nowMs, nowMs - 1_000);
    job.completedAtMs = nowMs;
    job.conclusion = conclusion;
  }
  for (const job of running) {
    if (job.lag === undefined) await deps.webhooks.jobEvent(job, "completed");
    else deps.pump.planCompleted(job, shownCompletedAtMs(job));
  }
  await deps.webhooks.runEvent(run, "completed");
  return idsOf(run);
}

/** Starts a new attempt now. */
export function rerunRun(deps: ControlDeps, { runId, failedOnly, copies, state, conclusion, jobs }: Input<"rerun">): RunIds {
  const run = findRun(deps, runId);
  const attempt = addRerun(deps.builder, run, {
    atMs: wholeSecond(deps.clock.nowMs()),
    failedOnly,
    copies,
    conclusion: state === "completed" ? conclusion : null,
  });
  const nowMs = deps.clock.nowMs();
  const own = attempt.jobs.filter((job) => job.attempt === attempt.number && job.copyOf === undefined);
  setLags(own, jobs);
  for (const job of own) {
    // A lagging job needs a time at which it is shown in progress, also with a frozen clock.
    job.startedAtMs = job.lag === undefined ? attempt.createdAtMs : Math.min(attempt.createdAtMs, nowMs - 1);
    if (state === "completed") job.completedAtMs = nowMs;
  }
  deps.pump.planAttempt(run, attempt, attempt.createdAtMs - 10);
  deps.pump.pump();
  return idsOf(run);
}

function setLags(jobs: readonly Job[], lags: Input<"rerun">["jobs"]): void {
  for (const lag of lags) {
    const job = jobs.find(({ name }) => name === lag.name);
    if (job === undefined) throw new RangeError(`no job ${lag.name} that could lag`);
    setLag(job, lag);
  }
}

function setLag(job: Job, { lagSeconds, lagShows }: { readonly lagSeconds: number; readonly lagShows: JobLag["shows"] }): void {
  if (lagSeconds > 0) job.lag = { ms: lagSeconds * 1000, shows: lagShows };
}

export function deleteRun(deps: ControlDeps, { runId, oncePaged }: Input<"deleteRun">): void {
  const run = findRun(deps, runId);
  if (oncePaged) run.deletedOncePaged = true;
  else run.deleted = true;
}

export function deleteLogs(deps: ControlDeps, runId: number): void {
  findRun(deps, runId).logsDeleted = true;
}

/** From now on the logs of all attempts answer 410. */
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

/** Finds a repository by name, including hidden ones. */
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
