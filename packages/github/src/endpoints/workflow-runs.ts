// Runs: https://docs.github.com/en/rest/actions/workflow-runs

import { z } from "zod";

import type { Answer, NotModified, Page } from "../api.ts";
import type { GitHub } from "../github.ts";
import { listOf, splitItems } from "../lists/list-items.ts";
import { fetchFirstPage, paginate } from "../lists/paging.ts";
import { idOf, repositoryPath, type RepositoryPath } from "../paths.ts";
import { WorkflowRun } from "../schemas.ts";

type InRepository = { readonly repository: RepositoryPath; readonly signal?: AbortSignal | undefined };

/** GitHub's filters. A filtered list ends after 1,000 runs even if there are more. */
export type RunFilter = {
  /** GitHub's date search: `2026-01-01T00:00:00Z..2026-01-02T00:00:00Z`, `>=2026-01-01`. */
  readonly created?: string;
  /** A status or a conclusion. */
  readonly status?: string;
  readonly branch?: string;
  readonly event?: string;
  readonly headSha?: string;
  /** Leaves out `pull_requests`, which the archive does not use. Default: true. */
  readonly excludePullRequests?: boolean;
};

export type ListRuns = InRepository &
  RunFilter & {
    readonly page?: number;
    readonly perPage?: number;
    readonly retries?: number;
    /** As in `ApiRequest`. */
    readonly needsDate?: boolean;
  };

const RunList = listOf("workflow_runs");

/** GitHub's limit of runs in a filtered list. https://docs.github.com/rest/actions/workflow-runs#list-workflow-runs-for-a-repository */
export const filteredListCap = 1_000;

/**
 * One page of a repository's runs (default: 100 runs). The order is not documented, but has been newest first. With the `etag` of an earlier
 * response to the same request with the same credential, the result may be `NotModified`.
 * https://docs.github.com/en/rest/actions/workflow-runs#list-workflow-runs-for-a-repository
 * @throws PermanentError `github/not-found`, `github/forbidden`; RateLimitedError; TransientError.
 */
export async function listRuns(github: GitHub, params: ListRuns & { readonly etag?: undefined }): Promise<Page<WorkflowRun>>;
export async function listRuns(
  github: GitHub,
  params: ListRuns & { readonly etag?: string | undefined },
): Promise<Page<WorkflowRun> | NotModified>;
export async function listRuns(
  github: GitHub,
  params: ListRuns & { readonly etag?: string | undefined },
): Promise<Page<WorkflowRun> | NotModified> {
  const { repository, signal, etag, retries, needsDate, perPage = 100 } = params;
  const answer = await github.getIfChanged({
    path: `${repositoryPath(repository)}/actions/runs`,
    query: {
      created: params.created,
      status: params.status,
      branch: params.branch,
      event: params.event,
      head_sha: params.headSha,
      exclude_pull_requests: params.excludePullRequests ?? true,
      per_page: perPage,
      page: params.page ?? 1,
    },
    subject: { repository },
    schema: RunList,
    etag,
    signal,
    needsDate,
    ...(retries === undefined ? {} : { retries }),
  });
  if ("notModified" in answer) return answer;
  const { total_count, workflow_runs } = answer.data;
  return { ...answer, perPage, totalCount: total_count ?? undefined, ...splitItems(WorkflowRun, workflow_runs) };
}

/**
 * The first page of the unfiltered list, with 100 runs, or fewer if GitHub fails to serve 100. Repeated requests of the same URL cost
 * nothing while nothing changes.
 * @throws as `listRuns`.
 */
export function listNewestRuns(
  github: GitHub,
  params: InRepository & { readonly etag?: string | undefined },
): Promise<Page<WorkflowRun> | NotModified> {
  return fetchFirstPage((request) => listRuns(github, { ...params, ...request, needsDate: true }));
}

/** All pages of `listRuns`, each run once, with smaller pages if large ones fail. A filtered list ends after 1,000 runs. */
export function listAllRuns(
  github: GitHub,
  params: InRepository & RunFilter,
): AsyncGenerator<Page<WorkflowRun>, void, undefined> {
  return paginate((request) => listRuns(github, { ...params, ...request }), { cap: filteredListCap });
}

/** GitHub's maximum count of a filtered list. https://github.blog/changelog/ (2026-09-25) */
export const maxCount = 2_500;

const RunCount = z.looseObject({ total_count: z.int().nonnegative() });

/**
 * GitHub's count of the runs of a filtered list, at most `maxCount`. Use it for estimates only, since it may be wrong.
 * @throws as `listRuns`.
 */
export async function countRuns(github: GitHub, { repository, created, signal }: ListRuns): Promise<number> {
  const path = `${repositoryPath(repository)}/actions/runs`;
  const query = { created, exclude_pull_requests: true, per_page: 1 };
  return (await github.get({ path, query, subject: { repository }, schema: RunCount, signal })).data.total_count;
}

/**
 * Gets the current state of a run: its latest attempt.
 * https://docs.github.com/en/rest/actions/workflow-runs#get-a-workflow-run
 * @throws as `listRuns`.
 */
export async function getRun(
  github: GitHub,
  { repository, runId, signal }: InRepository & { readonly runId: number },
): Promise<Answer<WorkflowRun>> {
  const path = `${repositoryPath(repository)}/actions/runs/${idOf(runId)}`;
  return github.get({
    path,
    query: { exclude_pull_requests: true },
    subject: { repository },
    schema: WorkflowRun,
    signal,
    needsDate: true,
  });
}

/**
 * Gets one attempt of a run; its `created_at` is the attempt's.
 * https://docs.github.com/en/rest/actions/workflow-runs#get-a-workflow-run-attempt
 * @throws as `listRuns`.
 */
export async function getRunAttempt(
  github: GitHub,
  { repository, runId, runAttempt, signal }: InRepository & { readonly runId: number; readonly runAttempt: number },
): Promise<Answer<WorkflowRun>> {
  const path = `${repositoryPath(repository)}/actions/runs/${idOf(runId)}/attempts/${idOf(runAttempt)}`;
  return github.get({
    path,
    query: { exclude_pull_requests: true },
    subject: { repository },
    schema: WorkflowRun,
    signal,
    needsDate: true,
  });
}
