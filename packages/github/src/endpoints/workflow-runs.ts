// Runs: https://docs.github.com/en/rest/actions/workflow-runs

import { z } from "zod";

import type { Answer, NotModified, Page } from "../api.ts";
import type { GitHub } from "../github.ts";
import { listOf, splitItems } from "../lists/list-items.ts";
import { fetchFirstPage, paginate } from "../lists/paging.ts";
import { idOf, repositoryPath, type RepositoryPath } from "../paths.ts";
import { WorkflowRun } from "../schemas.ts";

type InRepository = { readonly repository: RepositoryPath; readonly signal?: AbortSignal | undefined };

/** GitHub's own filters. With any of them a list ends after 1,000 runs, whatever there is. */
export type RunFilter = {
  /** GitHub's date search: `2026-01-01T00:00:00Z..2026-01-02T00:00:00Z`, `>=2026-01-01`. */
  readonly created?: string;
  /** A status or a conclusion. */
  readonly status?: string;
  readonly branch?: string;
  readonly event?: string;
  readonly headSha?: string;
  /** Leaves out `pull_requests`, which nobody reads here. Default: true. */
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

/** GitHub shows no more runs of a filtered list. https://docs.github.com/rest/actions/workflow-runs#list-workflow-runs-for-a-repository */
export const filteredListCap = 1_000;

/**
 * One page (100 runs unless told) of a repository's runs, newest first as far as anybody saw. With the `etag` of an earlier
 * answer to the same question by the same credential it may be `NotModified`.
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
 * The first page of the whole list, of 100 runs or fewer where so many fail. A list that is asked for again and again by one URL
 * costs nothing while nothing changes.
 * @throws as `listRuns`.
 */
export function listNewestRuns(
  github: GitHub,
  params: InRepository & { readonly etag?: string | undefined },
): Promise<Page<WorkflowRun> | NotModified> {
  return fetchFirstPage((request) => listRuns(github, { ...params, ...request, needsDate: true }));
}

/** All pages of `listRuns`, each run once, with smaller pages where large ones fail. Filtered, it ends after 1,000 runs. */
export function listAllRuns(
  github: GitHub,
  params: InRepository & RunFilter,
): AsyncGenerator<Page<WorkflowRun>, void, undefined> {
  return paginate((request) => listRuns(github, { ...params, ...request }), { cap: filteredListCap });
}

/** GitHub reports no larger count of a filtered list. https://github.blog/changelog/ (2026-09-25) */
export const maxCount = 2_500;

const RunCount = z.looseObject({ total_count: z.int().nonnegative() });

/**
 * How many runs a filtered list has by GitHub's own count: good for a forecast, never for a proof; `maxCount` stands for more.
 * @throws as `listRuns`.
 */
export async function countRuns(github: GitHub, { repository, created, signal }: ListRuns): Promise<number> {
  const path = `${repositoryPath(repository)}/actions/runs`;
  const query = { created, exclude_pull_requests: true, per_page: 1 };
  return (await github.get({ path, query, subject: { repository }, schema: RunCount, signal })).data.total_count;
}

/**
 * A run as it stands now: its latest attempt.
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
 * One attempt of a run; its `created_at` is the attempt's.
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
