// The world as plain data: what exists, and the final state that a correct archive must have.

import { type Expected, expectedOf } from "./log/expected.ts";
import { generatedStepLines, type StepLines } from "./log/log-text.ts";
import { attemptStatus, jobStatus } from "./world/timeline.ts";
import { fullNameOf, type World } from "./world/world.ts";

export type JobSummary = {
  readonly repository: string;
  readonly repositoryId: number;
  readonly runId: number;
  readonly attempt: number;
  readonly jobId: number;
  readonly name: string;
  readonly status: string;
  readonly conclusion: string | null;
  /** Undefined for a job that is not completed or cannot be found, and without `withExpected`. */
  readonly expected: Expected | undefined;
  /** The lines of each step in its log; undefined where they are unknown, and when not requested. */
  readonly stepLines: readonly StepLines[] | undefined;
};

export type WorldSummary = {
  readonly now: string;
  readonly repositories: readonly { readonly id: number; readonly fullName: string; readonly runs: number }[];
  readonly runs: readonly {
    readonly id: number;
    readonly repositoryId: number;
    readonly attempts: number;
    readonly status: string;
    readonly deleted: boolean;
  }[];
  readonly jobs: readonly JobSummary[];
};

/** @param options.withExpected reads every log once for its hash. */
export async function summarise(
  world: World,
  options: { readonly nowMs: number; readonly withExpected: boolean },
): Promise<WorldSummary> {
  const { nowMs, withExpected } = options;
  const jobs: JobSummary[] = [];
  for (const job of world.jobs.values()) {
    const { repository } = job.run;
    jobs.push({
      repository: fullNameOf(repository),
      repositoryId: repository.id,
      runId: job.run.id,
      attempt: job.attempt,
      jobId: job.id,
      name: job.name,
      status: jobStatus(job, nowMs),
      conclusion: jobStatus(job, nowMs) === "completed" ? job.conclusion : null,
      expected: withExpected ? await expectedOf(job, nowMs) : undefined,
      stepLines: withExpected && job.log.kind === "generated" ? generatedStepLines(job) : undefined,
    });
  }
  return {
    now: new Date(nowMs).toISOString(),
    repositories: world.repositories.map((each) => ({ id: each.id, fullName: fullNameOf(each), runs: each.runs.length })),
    runs: [...world.runs.values()].map((run) => {
      const attempt = run.attempts.findLast((each) => each.createdAtMs <= nowMs);
      const status = attempt === undefined ? "future" : attemptStatus(run, attempt, nowMs).status;
      return { id: run.id, repositoryId: run.repository.id, attempts: run.attempts.length, status, deleted: run.deleted };
    }),
    jobs,
  };
}
