// What an archive of a month must hold, from the simulator's world and from what it showed: jobs, attempts, and each row of
// coverage. Nothing here comes from the archive, but which of two right ends a deleted run took.

import type { Simulator } from "@actions-archive/github-simulator/simulator";
import { type Expected, expectedOf } from "@actions-archive/github-simulator/world/expected";
import type { Attempt, Job, Run } from "@actions-archive/github-simulator/world/model";
import { attemptStatus, jobStatus } from "@actions-archive/github-simulator/world/timeline";

import type { MonthJournal } from "./month-journal.ts";

const dayMs = 86_400_000;
/** GitHub ends a run after 35 days. */
const longestRunDays = 35;

export type TrueJob = {
  readonly job: Job;
  /** Undefined: the archive cannot know of it. More than one: all of them are right. */
  readonly ends: readonly Expected[] | undefined;
};

export type AttemptState = "listed" | "gone" | "never_completed" | "open";

/** Completed jobs that were shown to the archiver, and those that it had to find. */
export async function listTrueJobs({ world, clock }: Simulator, journal: MonthJournal): Promise<TrueJob[]> {
  const nowMs = clock.nowMs();
  const jobs: TrueJob[] = [];
  for (const job of world.jobs.values()) {
    if (jobStatus(job, nowMs) !== "completed" || !exists(job, nowMs)) continue;
    if (!job.run.deleted) jobs.push({ job, ends: [await endOf(job, nowMs)] });
    else jobs.push({ job, ends: world.told.jobs.has(job.id) ? await endsOfDeleted(job, journal) : undefined });
  }
  return jobs;
}

// A copy shows its original's times, and is there only once its attempt is.
function exists(job: Job, nowMs: number): boolean {
  return (job.run.attempts.find(({ number }) => number === job.attempt)?.createdAtMs ?? Infinity) <= nowMs;
}

async function endOf(job: Job, nowMs: number): Promise<Expected> {
  const expected = await expectedOf(job, nowMs);
  if (expected === undefined) throw new Error(`job ${job.id} is completed and has no end`);
  return expected;
}

// Its log was read before the run was deleted, or it was not.
async function endsOfDeleted(job: Job, { served }: MonthJournal): Promise<Expected[]> {
  const expected = await expectedOf({ ...job, run: { ...job.run, deleted: false } }, job.completedAtMs ?? 0);
  if (expected === undefined) throw new Error(`job ${job.id} is completed and has no end`);
  const deleted: Expected = { state: "absent", reason: "deleted" };
  const isSilent = expected.state === "absent" && expected.reason === "empty";
  if (expected.state !== "archived" && !isSilent) return [expected];
  if (!served.has(job.id)) return [deleted];
  const isReadTwice = expected.state === "archived" && expected.flags.includes("no_end_marker");
  return isReadTwice || isSilent ? [expected, deleted] : [expected];
}

/** Whether the ledger must hold the run, must not, and what its attempts must have become. */
export function statesOf({ world, clock }: Simulator, journal: MonthJournal, run: Run): AttemptState[][] | undefined {
  const nowMs = clock.nowMs();
  if (!world.told.runs.has(run.id)) return undefined;
  const attempts = run.attempts.filter(({ createdAtMs }) => createdAtMs <= nowMs);
  return attempts.map((attempt) => statesOfAttempt(run, attempt, { nowMs, journal }));
}

function statesOfAttempt(
  run: Run,
  attempt: Attempt,
  { nowMs, journal }: { nowMs: number; journal: MonthJournal },
): AttemptState[] {
  if (run.deleted) {
    const listedAtMs = journal.listed.get(`${run.id}/${attempt.number}`) ?? -Infinity;
    const endedAtMs = Math.max(attempt.createdAtMs, ...attempt.jobs.map(({ completedAtMs }) => completedAtMs ?? Infinity));
    const wasMissed = journal.missed.has(run.id);
    // A listing in the moment of its end may have come before the look that told that it was over.
    return [...(listedAtMs >= endedAtMs ? (["listed"] as const) : []), ...(wasMissed ? (["gone"] as const) : [])];
  }
  if (attemptStatus(run, attempt, nowMs).status === "completed") return ["listed"];
  return [nowMs - run.createdAtMs > longestRunDays * dayMs ? "never_completed" : "open"];
}
