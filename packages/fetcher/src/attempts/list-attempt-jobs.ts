// The jobs of one attempt as GitHub lists them, with whether it showed all that it promised.

import { PermanentError } from "@actions-archive/core/errors";
import { listJobsForRun, listJobsForRunAttempt, listJobsIfChanged } from "@actions-archive/github/endpoints/workflow-jobs";
import type { GitHub } from "@actions-archive/github/github";
import { collectPages, type CompleteList } from "@actions-archive/github/lists/paging";
import type { WorkflowJob } from "@actions-archive/github/schemas";

import type { JobListReading } from "./assess-job-list.ts";

export type AttemptJobs = Omit<JobListReading, "unlisted"> & {
  readonly jobs: readonly WorkflowJob[];
  readonly unusable: readonly { readonly object: unknown; readonly problem: string }[];
  /** For `relistAttemptJobs`; undefined where no request with it could say that nothing changed. */
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
 * Lists the jobs of an attempt again. With the `etag` of an earlier listing, an unchanged list costs nothing of GitHub's limit.
 * @returns `unchanged`, the list, or undefined when GitHub answers 404. @throws the client's other errors.
 */
export async function relistAttemptJobs(
  github: GitHub,
  attempt: AttemptRequest,
  etag: string | null | undefined,
): Promise<AttemptJobs | "unchanged" | undefined> {
  // The list of a whole run says nothing of one attempt's ETag.
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
 * A GHES before 3.5 has no attempts of its own; there the list of all jobs says which attempt each belongs to. No other server's 404
 * means that: its list of all jobs would give one attempt the jobs of another.
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
