// Renders a run as GitHub shows it, or one of its attempts.

import type { Attempt, Repository, Run } from "../world/model.ts";
import { attemptStatus, attemptUpdatedAtMs } from "../world/timeline.ts";
import { fullNameOf } from "../world/world.ts";
import { type Json, renderRepository, renderUser } from "./repository.ts";
import { nodeId, seconds, type Urls } from "./urls.ts";

export type RunView = {
  readonly attempt: Attempt;
  readonly nowMs: number;
  /** The form of `runs/{id}/attempts/{n}`: with the attempt's own creation time and URLs. */
  readonly asAttempt: boolean;
  readonly excludePullRequests?: boolean;
};

/** @returns `renderRun` as JSON text. The two repositories are nine tenths of it and the same in every run of a list, so they are cached. */
export function renderRunText(run: Run, view: RunView, urls: Urls): string {
  if (showsRecorded(run, view)) return JSON.stringify(run.recorded);
  const own = JSON.stringify(renderOwn(run, view, urls));
  const { repository, headRepository } = run;
  const head = headRepository === null ? "null" : textOf(headRepository, urls);
  return `${own.slice(0, -1)},"repository":${textOf(repository, urls)},"head_repository":${head}}`;
}

/** `workflow-run` of GitHub's OpenAPI description. */
export function renderRun(run: Run, view: RunView, urls: Urls): Json {
  if (showsRecorded(run, view)) return { ...run.recorded };
  return {
    ...renderOwn(run, view, urls),
    repository: renderRepository(run.repository, urls),
    head_repository: run.headRepository === null ? null : renderRepository(run.headRepository, urls),
  };
}

function showsRecorded(run: Run, { attempt, nowMs, asAttempt }: RunView): boolean {
  const isLatest = attempt === run.attempts.findLast((each) => each.createdAtMs <= nowMs);
  return run.recorded !== undefined && isLatest && !asAttempt;
}

const texts = new WeakMap<Repository, { readonly key: string; readonly text: string }>();

function textOf(repository: Repository, urls: Urls): string {
  const key = `${urls.api} ${fullNameOf(repository)}`;
  const known = texts.get(repository);
  if (known?.key === key) return known.text;
  const text = JSON.stringify(renderRepository(repository, urls));
  texts.set(repository, { key, text });
  return text;
}

function renderOwn(run: Run, { attempt, nowMs, asAttempt }: RunView, urls: Urls): Json {
  const repositoryUrl = `${urls.api}/repos/${fullNameOf(run.repository)}`;
  const url = `${repositoryUrl}/actions/runs/${run.id}`;
  const own = asAttempt ? `${url}/attempts/${attempt.number}` : url;
  const suiteId = run.id + 1_000_000_000;
  return {
    id: run.id,
    name: run.workflow.name,
    node_id: nodeId("WFR", run.id),
    head_branch: run.headBranch,
    head_sha: run.headSha,
    path: run.workflow.path,
    display_title: run.title,
    run_number: run.number,
    event: run.event,
    ...attemptStatus(run, attempt, nowMs),
    workflow_id: run.workflow.id,
    check_suite_id: suiteId,
    check_suite_node_id: nodeId("CS", suiteId),
    url,
    html_url: `${urls.web}/${fullNameOf(run.repository)}/actions/runs/${run.id}`,
    // Empty in 95 of 99 recorded runs, and always for forks.
    pull_requests: [],
    created_at: seconds(asAttempt ? attempt.createdAtMs : run.createdAtMs),
    updated_at: seconds(attemptUpdatedAtMs(attempt, nowMs)),
    actor: renderUser(run.actor, urls),
    run_attempt: attempt.number,
    referenced_workflows: run.referencedWorkflows,
    run_started_at: seconds(attempt.createdAtMs),
    triggering_actor: renderUser(attempt.triggeringActor, urls),
    jobs_url: `${own}/jobs`,
    logs_url: `${own}/logs`,
    check_suite_url: `${repositoryUrl}/check-suites/${suiteId}`,
    artifacts_url: `${url}/artifacts`,
    cancel_url: `${url}/cancel`,
    rerun_url: `${url}/rerun`,
    previous_attempt_url: attempt.number === 1 ? null : `${url}/attempts/${attempt.number - 1}`,
    workflow_url: `${repositoryUrl}/actions/workflows/${run.workflow.id}`,
    head_commit: {
      id: run.headSha,
      tree_id: run.headSha.split("").toReversed().join(""),
      message: run.title,
      timestamp: seconds(run.createdAtMs - 60_000),
      author: { name: run.actor.login, email: `${run.actor.login}@users.noreply.example` },
      committer: { name: "GitHub", email: "noreply@github.example" },
    },
  };
}
