// Jobs: https://docs.github.com/en/rest/actions/workflow-jobs. Their logs are in `job-log.ts`.

import { z } from "zod";

import type { Answer, GitHub, Page } from "./github.ts";
import { listOf, splitItems } from "./list-items.ts";
import { paginate } from "./paging.ts";
import { idOf, repositoryPath, type RepositoryPath } from "./paths.ts";
import { WorkflowJob } from "./schemas.ts";

type InRepository = { readonly repository: RepositoryPath; readonly signal?: AbortSignal | undefined };

const JobList = listOf("jobs");

/**
 * One job with its steps.
 * https://docs.github.com/en/rest/actions/workflow-jobs#get-a-job-for-a-workflow-run
 * @throws PermanentError `github/not-found` when it is gone or not to be seen, `github/forbidden`; RateLimitedError; TransientError.
 */
export async function getJob(
  github: GitHub,
  { repository, jobId, signal }: InRepository & { readonly jobId: number },
): Promise<Answer<WorkflowJob>> {
  const path = `${repositoryPath(repository)}/actions/jobs/${idOf(jobId)}`;
  return github.get({ path, subject: { repository }, schema: WorkflowJob, signal });
}

/**
 * The jobs of a run: of its latest attempt, or of `all` attempts. Page by page, each job once; order is GitHub's and means nothing.
 * https://docs.github.com/en/rest/actions/workflow-jobs#list-jobs-for-a-workflow-run
 * @throws as `getJob`; what was yielded before is no whole list then.
 */
export function listJobsForRun(
  github: GitHub,
  { repository, runId, filter, signal }: InRepository & { readonly runId: number; readonly filter: "latest" | "all" },
): AsyncGenerator<Page<WorkflowJob>, void, undefined> {
  return listJobs(github, { repository, signal, path: `${repositoryPath(repository)}/actions/runs/${idOf(runId)}/jobs`, filter });
}

/**
 * The jobs of one attempt, copies of jobs that were not run again included. Page by page, each job once.
 * Not on a GHES before 3.5: there `listJobsForRun` with `all` gives every attempt.
 * https://docs.github.com/en/rest/actions/workflow-jobs#list-jobs-for-a-workflow-run-attempt
 * @throws as `getJob`; what was yielded before is no whole list then.
 */
export function listJobsForRunAttempt(
  github: GitHub,
  { repository, runId, runAttempt, signal }: InRepository & { readonly runId: number; readonly runAttempt: number },
): AsyncGenerator<Page<WorkflowJob>, void, undefined> {
  const path = `${repositoryPath(repository)}/actions/runs/${idOf(runId)}/attempts/${idOf(runAttempt)}/jobs`;
  return listJobs(github, { repository, signal, path });
}

const JobCount = z.looseObject({ total_count: z.int().nonnegative() });

/**
 * How many jobs the latest attempt of a run has by GitHub's own count: good for a forecast, never for a proof.
 * @throws as `getJob`.
 */
export async function countJobs(
  github: GitHub,
  { repository, runId, signal }: InRepository & { readonly runId: number },
): Promise<number> {
  const path = `${repositoryPath(repository)}/actions/runs/${idOf(runId)}/jobs`;
  return (await github.get({ path, query: { per_page: 1 }, subject: { repository }, schema: JobCount, signal })).data.total_count;
}

function listJobs(
  github: GitHub,
  { repository, path, filter, signal }: InRepository & { readonly path: string; readonly filter?: "latest" | "all" },
): AsyncGenerator<Page<WorkflowJob>, void, undefined> {
  return paginate(async ({ page, perPage, retries }) => {
    const query = { filter, per_page: perPage, page };
    const answer = await github.get({ path, query, subject: { repository }, schema: JobList, signal, retries });
    const { total_count, jobs } = answer.data;
    return { ...answer, totalCount: total_count ?? undefined, ...splitItems(WorkflowJob, jobs) };
  });
}
