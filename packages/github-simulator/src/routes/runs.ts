// Runs of a repository: the list with its filters and caps, a run, an attempt, deletion, re-run.
// https://docs.github.com/rest/actions/workflow-runs

import { Hono } from "hono";

import { renderRun } from "../render/run.ts";
import type { Repository, Run } from "../world/model.ts";
import { attemptStatus, currentAttempt } from "../world/timeline.ts";
import {
  type ApiContext,
  type ApiDeps,
  type ApiEnv,
  errorAnswer,
  hasFeature,
  notFound,
  numberOf,
  pagedAnswer,
} from "./context.ts";
import { tryParseCreated } from "./created-filter.ts";

/** "up to 1,000 results for each search when using" one of the filters. */
const maxFilteredResults = 1_000;
/** Since 2026-09-25 larger counts are reported as this. */
const maxFilteredCount = 2_500;
const filters = ["actor", "branch", "check_suite_id", "created", "event", "head_sha", "status"] as const;
const page = "/actions/workflow-runs";

export function runRoutes(deps: ApiDeps): Hono<ApiEnv> {
  const app = new Hono<ApiEnv>();
  app.get("/actions/runs", (c) => listRuns(c, deps));
  app.get("/actions/runs/:run_id", (c) => {
    const run = findRun(c, deps);
    const attempt = run && currentAttempt(run, deps.clock.nowMs());
    if (!run || !attempt) return notFound(c, `${page}#get-a-workflow-run`);
    return c.json(renderRun(run, { attempt, nowMs: deps.clock.nowMs(), asAttempt: false }, deps.urls));
  });
  app.get("/actions/runs/:run_id/attempts/:attempt_number", (c) => {
    const run = findRun(c, deps);
    const number = numberOf(c.req.param("attempt_number"));
    const attempt = run?.attempts.find((each) => each.number === number && each.createdAtMs <= deps.clock.nowMs());
    if (!run || !attempt || !hasFeature(deps.settings, "3.5")) return notFound(c, `${page}#get-a-workflow-run-attempt`);
    return c.json(renderRun(run, { attempt, nowMs: deps.clock.nowMs(), asAttempt: true }, deps.urls));
  });
  app.delete("/actions/runs/:run_id", (c) => {
    const run = findRun(c, deps);
    if (!run) return notFound(c, `${page}#delete-a-workflow-run`);
    run.deleted = true;
    return c.body(null, 204);
  });
  app.delete("/actions/runs/:run_id/logs", (c) => {
    const run = findRun(c, deps);
    if (!run) return notFound(c, `${page}#delete-workflow-run-logs`);
    run.logsDeleted = true;
    return c.body(null, 204);
  });
  return app;
}

/** The run of the path, if it is the repository's and visible. */
export function findRun(c: ApiContext, deps: ApiDeps): Run | undefined {
  const run = deps.world.runs.get(numberOf(c.req.param("run_id")) ?? 0);
  if (run === undefined || run.repository !== c.var.repository) return undefined;
  return currentAttempt(run, deps.clock.nowMs()) ? run : undefined;
}

function listRuns(c: ApiContext, deps: ApiDeps): Response {
  const nowMs = deps.clock.nowMs();
  const { repository } = c.var;
  const matched = matchingRuns(c, repository, nowMs);
  if (matched === undefined) return errorAnswer(c, 422, "Validation Failed", `${page}#list-workflow-runs-for-a-repository`);
  const isFiltered = filters.some((name) => (c.req.query(name) ?? "") !== "");
  return pagedAnswer(c, {
    items: isFiltered ? matched.slice(0, maxFilteredResults) : matched,
    path: `/repositories/${repository.id}/actions/runs`,
    urls: deps.urls,
    bodyOf: (runs) => ({
      total_count: isFiltered ? Math.min(matched.length, maxFilteredCount) : matched.length,
      workflow_runs: runs.map((run) => render(run, deps, nowMs)),
    }),
  });
}

function render(run: Run, deps: ApiDeps, nowMs: number) {
  const attempt = currentAttempt(run, nowMs);
  if (attempt === undefined) throw new Error(`run ${run.id} is not visible`);
  return renderRun(run, { attempt, nowMs, asAttempt: false }, deps.urls);
}

// Newest first; undefined for a filter that GitHub would not understand.
function matchingRuns(c: ApiContext, repository: Repository, nowMs: number): readonly Run[] | undefined {
  const query = (name: (typeof filters)[number]) => c.req.query(name) || undefined;
  const createdText = query("created");
  const created = createdText === undefined ? { fromMs: -Infinity, toMs: Infinity } : tryParseCreated(createdText);
  if (created === undefined) return undefined;
  const [actor, branch, event, sha, suite, status] = [
    query("actor"),
    query("branch"),
    query("event"),
    query("head_sha"),
    query("check_suite_id"),
    query("status"),
  ];
  const first = repository.runs.findIndex((run) => run.createdAtMs >= created.fromMs);
  if (first === -1) return [];
  const last = repository.runs.findLastIndex((run) => run.createdAtMs <= Math.min(created.toMs, nowMs));
  return repository.runs
    .slice(first, last + 1)
    .filter((run) => currentAttempt(run, nowMs) !== undefined)
    .filter((run) => actor === undefined || run.actor.login === actor)
    .filter((run) => branch === undefined || run.headBranch === branch)
    .filter((run) => event === undefined || run.event === event)
    .filter((run) => sha === undefined || run.headSha === sha)
    .filter((run) => suite === undefined || String(run.id + 1_000_000_000) === suite)
    .filter((run) => status === undefined || statusesOf(run, nowMs).includes(status))
    .toReversed();
}

function statusesOf(run: Run, nowMs: number): readonly unknown[] {
  if (run.recorded) return [run.recorded["status"], run.recorded["conclusion"]];
  const attempt = currentAttempt(run, nowMs);
  if (attempt === undefined) return [];
  const { status, conclusion } = attemptStatus(run, attempt, nowMs);
  return [status, conclusion];
}
