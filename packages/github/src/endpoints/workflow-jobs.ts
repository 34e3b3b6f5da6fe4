// Jobs: https://docs.github.com/en/rest/actions/workflow-jobs. Their logs are in `job-log.ts`.

import { z } from "zod";

import type { Answer, Page } from "../api.ts";
import type { GitHub } from "../github.ts";
import { listOf, splitItems } from "../lists/list-items.ts";
import { maxPerPage, paginate } from "../lists/paging.ts";
import { idOf, repositoryPath, type RepositoryPath } from "../paths.ts";
import { WorkflowJob } from "../schemas.ts";

type InRepository = { readonly repository: RepositoryPath; readonly signal?: AbortSignal | undefined };

const JobList = listOf("jobs");

/**
 * Gets one job with its steps.
 * https://docs.github.com/en/rest/actions/workflow-jobs#get-a-job-for-a-workflow-run
 * @throws PermanentError `github/not-found` when it is deleted or not visible, `github/forbidden`; RateLimitedError; TransientError.
 */
export async function getJob(
  github: GitHub,
  { repository, jobId, signal }: InRepository & { readonly jobId: number },
): Promise<Answer<WorkflowJob>> {
  const path = `${repositoryPath(repository)}/actions/jobs/${idOf(jobId)}`;
  return github.get({ path, subject: { repository }, schema: WorkflowJob, signal });
}

/**
 * The jobs of a run, of its latest attempt or of `all` attempts, page by page, each once, in GitHub's unspecified order.
 * https://docs.github.com/en/rest/actions/workflow-jobs#list-jobs-for-a-workflow-run
 * @throws as `getJob`; the pages yielded before are then incomplete.
 */
export function listJobsForRun(
  github: GitHub,
  { repository, runId, filter, signal }: InRepository & { readonly runId: number; readonly filter: "latest" | "all" },
): AsyncGenerator<Page<WorkflowJob>, void, undefined> {
  return listJobs(github, { repository, signal, path: `${repositoryPath(repository)}/actions/runs/${idOf(runId)}/jobs`, filter });
}

/**
 * The jobs of one attempt, including copies of jobs that were not re-run, page by page, each once.
 * Not on a GHES before 3.5, where `listJobsForRun` with `all` lists the jobs of every attempt.
 * https://docs.github.com/en/rest/actions/workflow-jobs#list-jobs-for-a-workflow-run-attempt
 * @throws as `getJob`; the pages yielded before are then incomplete.
 */
export function listJobsForRunAttempt(
  github: GitHub,
  { repository, runId, runAttempt, signal }: InRepository & { readonly runId: number; readonly runAttempt: number },
): AsyncGenerator<Page<WorkflowJob>, void, undefined> {
  const path = `${repositoryPath(repository)}/actions/runs/${idOf(runId)}/attempts/${idOf(runAttempt)}/jobs`;
  return listJobs(github, { repository, signal, path });
}

/**
 * Like `listJobsForRunAttempt`, but only if the list has changed since its only page had `etag`. Requests the first page before it returns:
 * while the ETag matches, the response is 304, which does not count against the primary limit. An ETag depends on the credential, so it
 * never matches after an App's token was rotated.
 * https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api#use-conditional-requests-if-appropriate
 * @returns undefined if nothing changed.
 * @throws as `getJob`.
 */
export async function listJobsIfChanged(
  github: GitHub,
  {
    repository,
    runId,
    runAttempt,
    etag,
    signal,
  }: InRepository & { readonly runId: number; readonly runAttempt: number; readonly etag: string },
): Promise<AsyncGenerator<Page<WorkflowJob>, void, undefined> | undefined> {
  const path = `${repositoryPath(repository)}/actions/runs/${idOf(runId)}/attempts/${idOf(runAttempt)}/jobs`;
  const query = { per_page: maxPerPage, page: 1 };
  const answer = await github.getIfChanged({ path, query, subject: { repository }, schema: JobList, signal, etag });
  return "notModified" in answer ? undefined : listJobs(github, { repository, signal, path, first: pageOf(answer) });
}

const JobCount = z.looseObject({ total_count: z.int().nonnegative() });

/**
 * GitHub's count of the jobs of a run's latest attempt. Use it for estimates only, since it may be wrong.
 * @throws as `getJob`.
 */
export async function countJobs(
  github: GitHub,
  { repository, runId, signal }: InRepository & { readonly runId: number },
): Promise<number> {
  const path = `${repositoryPath(repository)}/actions/runs/${idOf(runId)}/jobs`;
  return (await github.get({ path, query: { per_page: 1 }, subject: { repository }, schema: JobCount, signal })).data.total_count;
}

type JobListRequest = InRepository & {
  readonly path: string;
  readonly filter?: "latest" | "all";
  /** The first page, if it was read already. */
  readonly first?: Page<WorkflowJob>;
};

function listJobs(
  github: GitHub,
  { repository, path, filter, signal, first }: JobListRequest,
): AsyncGenerator<Page<WorkflowJob>, void, undefined> {
  return paginate(async ({ page, perPage, retries }) => {
    if (first !== undefined && page === 1 && perPage === maxPerPage) return first;
    const query = { filter, per_page: perPage, page };
    return pageOf(await github.get({ path, query, subject: { repository }, schema: JobList, signal, retries }));
  });
}

function pageOf(answer: Answer<z.output<typeof JobList>> & { readonly hasNext: boolean }): Page<WorkflowJob> {
  const { total_count, jobs } = answer.data;
  return { ...answer, totalCount: total_count ?? undefined, ...splitItems(WorkflowJob, jobs) };
}
