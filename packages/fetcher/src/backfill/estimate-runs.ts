// Estimates the size of a backfill with a few requests per repository: GitHub's counts and a sample of the newest runs. Only for
// forecasts; the listing gives the exact figures.

import { hourMs } from "@actions-archive/core/durations";
import type { Window } from "@actions-archive/database/ledger/windows";
import { countJobs } from "@actions-archive/github/endpoints/workflow-jobs";
import { countRuns, maxCount, listRuns } from "@actions-archive/github/endpoints/workflow-runs";

import type { Fetcher } from "../fetcher.ts";

const sampledRuns = 50;
const sampledJobLists = 4;
const maxCounts = 40;

export type RunEstimate = {
  /** Parts of the span, oldest first, each with its number of runs. */
  readonly parts: readonly (Window & { readonly runs: number })[];
  readonly runs: number;
  /** Whether a part reached the maximum of GitHub's count, 2,500: there may be more runs. */
  readonly isAtLeast: boolean;
  readonly attemptsPerRun: number;
  readonly jobsPerAttempt: number;
};

/** @throws the client's errors. */
export async function estimateRuns(
  { github }: Pick<Fetcher, "github">,
  repository: string,
  { start, end }: Window,
  signal: AbortSignal,
): Promise<RunEstimate> {
  const created = (window: Window) => `${window.start.toISOString()}..${window.end.toISOString()}`;
  let counts = 0;
  const count = async (window: Window): Promise<RunEstimate["parts"]> => {
    counts++;
    const runs = await countRuns(github, { repository, created: created(window), signal });
    const middle = new Date((window.start.getTime() + window.end.getTime()) / 2);
    if (runs < maxCount || counts >= maxCounts || window.end.getTime() - window.start.getTime() < hourMs)
      return [{ ...window, runs }];
    return [...(await count({ start: window.start, end: middle })), ...(await count({ start: middle, end: window.end }))];
  };
  const parts = await count({ start, end });
  const { data: sample } = await listRuns(github, {
    repository,
    created: created({ start, end }),
    perPage: sampledRuns,
    signal,
  });
  const runsToCount = sample.filter((_, index) => index % Math.ceil(sample.length / sampledJobLists) === 0);
  const jobs: number[] = [];
  for (const { id } of runsToCount) jobs.push(await countJobs(github, { repository, runId: id, signal }));
  return {
    parts,
    runs: parts.reduce((sum, part) => sum + part.runs, 0),
    isAtLeast: parts.some(({ runs }) => runs >= maxCount),
    attemptsPerRun: meanOf(sample.map(({ run_attempt }) => run_attempt ?? 1)),
    jobsPerAttempt: meanOf(jobs),
  };
}

function meanOf(numbers: readonly number[]): number {
  return numbers.length === 0 ? 1 : numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
}
