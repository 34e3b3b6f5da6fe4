// The oracle: what an archive must contain, from the simulator's world and from what it showed. It uses nothing of the archive, except which
// of several right outcomes it has.

import { dayMs } from "@actions-archive/core/durations";
import { type Expected, expectedOf } from "@actions-archive/github-simulator/log/expected";
import type { Simulator } from "@actions-archive/github-simulator/simulator";
import type { Attempt, Job, Run } from "@actions-archive/github-simulator/world/model";
import { attemptStatus, jobStatus } from "@actions-archive/github-simulator/world/timeline";

import type { ArchiveJournal } from "./archive-journal.ts";

/** GitHub cancels a run after 35 days. */
const maxRunDays = 35;

export type TrueJob = {
  readonly job: Job;
  /** All right outcomes. Undefined: the archive cannot know the job. */
  readonly ends: readonly Expected[] | undefined;
  /** A worker that was shown the job may have crashed, and the job cannot be found any more. */
  readonly isOptional: boolean;
};

export type AttemptState = "listed" | "gone" | "never_completed" | "open";

export type Past = { readonly simulator: Simulator; readonly journal: ArchiveJournal; readonly hadFaults: boolean };

/** @returns by id: the completed jobs that the archiver was shown or had to find. */
export async function listTrueJobs({ simulator: { world, clock }, ...past }: Past): Promise<Map<number, TrueJob>> {
  const nowMs = clock.nowMs();
  const jobs = new Map<number, TrueJob>();
  for (const job of world.jobs.values()) {
    if (!isCompleted(job, nowMs) || !exists(job, nowMs)) continue;
    const isOptional = job.run.deleted && past.hadFaults;
    const isKnown = !job.run.deleted || world.shown.jobs.has(job.id);
    jobs.set(job.id, { job, isOptional, ends: isKnown ? await endsOf(job, nowMs, past) : undefined });
  }
  return jobs;
}

// A recorded job is served as recorded, whatever the clock says.
function isCompleted(job: Job, nowMs: number): boolean {
  return job.recorded ? job.recorded["status"] === "completed" : jobStatus(job, nowMs) === "completed";
}

// A copy has its original's times, and appears only with its attempt.
function exists(job: Job, nowMs: number): boolean {
  return (job.run.attempts.find(({ number }) => number === job.attempt)?.createdAtMs ?? Infinity) <= nowMs;
}

// The log was read before its deletion, or it was not.
async function endsOf(job: Job, nowMs: number, { journal, hadFaults }: Omit<Past, "simulator">): Promise<Expected[]> {
  const now = job.run.deleted ? ({ state: "absent", reason: "deleted" } as const) : await endAt(job, nowMs);
  if (now.state === "archived") return [now];
  const then = await endAt(asItWas(job), job.completedAtMs ?? nowMs);
  if (JSON.stringify(then) === JSON.stringify(now)) return [now];
  const isSilent = then.state === "absent" && then.reason === "empty";
  if (then.state !== "archived" && !isSilent) return job.run.deleted && !hadFaults ? [then] : [then, now];
  if (!journal.served.has(job.id)) return [now];
  const isReadTwice = then.state === "archived" && then.flags.includes("no_end_marker");
  return isReadTwice || isSilent || hadFaults ? [then, now] : [then];
}

// Before any deletion, and before the repository became inaccessible. A log shows whether its commit came from another repository.
function asItWas(job: Job): Job {
  const { run, copyOf } = job;
  const repository = { ...run.repository, hidden: false };
  const headRepository = run.headRepository === run.repository ? repository : run.headRepository;
  return {
    ...job,
    run: { ...run, repository, headRepository, deleted: false, logsDeleted: false },
    ...(copyOf && { copyOf: asItWas(copyOf) }),
  };
}

async function endAt(job: Job, nowMs: number): Promise<Expected> {
  const expected = await expectedOf(job, nowMs);
  if (expected === undefined) throw new Error(`job ${job.id} is completed and has no end`);
  return expected;
}

/** @returns the right states of each attempt of the run; undefined when no client was shown the run. */
export function statesOf({ simulator: { world, clock }, ...past }: Past, run: Run): AttemptState[][] | undefined {
  const nowMs = clock.nowMs();
  if (!world.shown.runs.has(run.id)) return undefined;
  const attempts = run.attempts.filter(({ createdAtMs }) => createdAtMs <= nowMs);
  return attempts.map((attempt) => statesOfAttempt(run, attempt, { nowMs, ...past }));
}

type Moment = Omit<Past, "simulator"> & { readonly nowMs: number };

function statesOfAttempt(run: Run, attempt: Attempt, { nowMs, journal, hadFaults }: Moment): AttemptState[] {
  if (run.deleted) {
    if (hadFaults) return ["listed", "open", "gone"];
    const listedAtMs = journal.listed.get(`${run.id}/${attempt.number}`) ?? -Infinity;
    const endedAtMs = Math.max(attempt.createdAtMs, ...attempt.jobs.map(({ completedAtMs }) => completedAtMs ?? Infinity));
    const wasMissed = journal.missed.has(run.id);
    // A listing at the time of its end may precede the poll that saw its end. It is closed after a day of 404s.
    return [...(listedAtMs >= endedAtMs ? (["listed"] as const) : []), ...(wasMissed ? (["open", "gone"] as const) : [])];
  }
  if (attemptStatus(run, attempt, nowMs).status === "completed") return ["listed"];
  return [nowMs - attempt.createdAtMs > maxRunDays * dayMs ? "never_completed" : "open"];
}
