// Lists the jobs of one attempt, and reports whether the list has as many as GitHub counts.

import { PermanentError } from "@actions-archive/core/errors";
import { listJobsForRun, listJobsForRunAttempt, listJobsIfChanged } from "@actions-archive/github/endpoints/workflow-jobs";
import type { GitHub } from "@actions-archive/github/github";
import { collectPages, type CompleteList } from "@actions-archive/github/lists/paging";
import type { WorkflowJob } from "@actions-archive/github/schemas";

import type { JobListReading } from "./assess-job-list.ts";

export type AttemptJobs = Omit<JobListReading, "unlisted"> & {
  readonly jobs: readonly WorkflowJob[];
  readonly unusable: readonly { readonly object: unknown; readonly problem: string }[];
  /** For `relistAttemptJobs`; undefined where a conditional request is not possible. */
  readonly etag: string | undefined;
};

export type AttemptRequest = {
  readonly repository: string;
  readonly runId: number;
  readonly runAttempt: number;
  readonly signal: AbortSignal;
};

/** @returns undefined when GitHub answers 404. @throws the client's other errors. */
export async function listAttemptJobs(github: GitHub, attempt: AttemptRequest): Promise<AttemptJobs | undefined> {
  const list = lacksAttempts(github)
    ? collectPages(listJobsForRun(github, { ...attempt, filter: "all" }))
    : collectPages(listJobsForRunAttempt(github, attempt));
  const found = await unlessNotFound(list);
  return found && jobsOf(github, attempt, found);
}

/**
 * Lists the jobs of an attempt again. With the `etag` of an earlier listing, an unchanged list does not count against GitHub's
 * limit.
 * @returns `unchanged`, the list, or undefined when GitHub answers 404.
 * @throws the client's other errors.
 */
export async function relistAttemptJobs(
  github: GitHub,
  attempt: AttemptRequest,
  etag: string | null | undefined,
): Promise<AttemptJobs | "unchanged" | undefined> {
  // Here the list is the run's, so its ETag does not identify an attempt's list.
  if (etag === undefined || etag === null || lacksAttempts(github)) return listAttemptJobs(github, attempt);
  const found = await unlessNotFound(collectIfChanged(github, { ...attempt, etag }));
  return found === undefined || found === "unchanged" ? found : jobsOf(github, attempt, found);
}

async function collectIfChanged(
  github: GitHub,
  attempt: AttemptRequest & { readonly etag: string },
): Promise<CompleteList<WorkflowJob> | "unchanged"> {
  const pages = await listJobsIfChanged(github, attempt);
  return pages === undefined ? "unchanged" : collectPages(pages);
}

function jobsOf(
  github: GitHub,
  { runId, runAttempt }: AttemptRequest,
  { items, unusable, promised, isWhole, etag }: CompleteList<WorkflowJob>,
): AttemptJobs {
  const strangers = items.filter(({ run_id }) => run_id !== runId);
  const jobs = items.filter((job) => job.run_id === runId && isOfAttempt(github, job, runAttempt));
  return {
    jobs,
    unusable: [...unusable, ...strangers.map((object) => ({ object, problem: `run_id is ${object.run_id}: another run's job` }))],
    promised,
    isWhole,
    etag,
  };
}

/**
 * A GHES before 3.5 has no job list per attempt; the run's job list names each job's attempt. On any other server a 404 has
 * another meaning: using the run's list there would assign jobs to the wrong attempt.
 * https://docs.github.com/enterprise-server@3.5/rest/actions/workflow-jobs#list-jobs-for-a-workflow-run-attempt
 */
function lacksAttempts({ enterpriseVersion }: GitHub): boolean {
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(enterpriseVersion ?? "") ?? [];
  return major !== undefined && (Number(major) < 3 || (Number(major) === 3 && Number(minor) < 5));
}

function isOfAttempt(github: GitHub, { run_attempt }: WorkflowJob, runAttempt: number): boolean {
  return !lacksAttempts(github) || (run_attempt ?? 1) === runAttempt;
}

export async function unlessNotFound<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof PermanentError && error.code === "github/not-found") return undefined;
    throw error;
  }
}
