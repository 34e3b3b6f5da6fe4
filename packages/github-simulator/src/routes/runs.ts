// Runs of a repository: the list with its filters and limits, a run, an attempt, deletion, rerun.
// https://docs.github.com/rest/actions/workflow-runs

import { Hono } from "hono";

import { renderRun, renderRunText } from "../render/run.ts";
import type { Repository, Run } from "../world/model.ts";
import { attemptStatus, currentAttempt, isVisible } from "../world/timeline.ts";
import {
  type ApiContext,
  type ApiDeps,
  type ApiEnv,
  errorAnswer,
  hasFeature,
  notFound,
  numberOf,
  pagedAnswer,
  pageOf,
  type Shown,
} from "./context.ts";
import { type TimeRange, tryParseCreated } from "./created-filter.ts";

/** "up to 1,000 results for each search when using" one of the filters. */
const maxFilteredResults = 1_000;
/** Since 2026-09-25 larger counts are capped at this. */
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
    c.env.shown.runs.add(run.id);
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

/** @returns the run of the path, if it belongs to the repository and is visible. */
export function findRun(c: ApiContext, deps: ApiDeps): Run | undefined {
  const run = deps.world.runs.get(numberOf(c.req.param("run_id")) ?? 0);
  if (run === undefined || run.repository !== c.var.repository) return undefined;
  return currentAttempt(run, deps.clock.nowMs()) ? run : undefined;
}

function listRuns(c: ApiContext, deps: ApiDeps): Response {
  const nowMs = deps.clock.nowMs();
  const { repository } = c.var;
  const matches = matcherOf(c, nowMs);
  if (matches === undefined) return errorAnswer(c, 422, "Validation Failed", `${page}#list-workflow-runs-for-a-repository`);
  const isFiltered = filters.some((name) => (c.req.query(name) ?? "") !== "");
  const matched = newestFirst(repository, matches, isFiltered ? maxFilteredCount : Infinity);
  const items = isFiltered ? matched.slice(0, maxFilteredResults) : matched;
  const { perPage, page: number } = pageOf(c);
  const hasNext = number * perPage < items.length;
  return pagedAnswer(c, {
    items,
    path: `/repositories/${repository.id}/actions/runs`,
    urls: deps.urls,
    bodyOf: (runs) => {
      const texts = runs.map((run) => render(run, { deps, nowMs, shown: c.env.shown }));
      if (hasNext) for (const run of runs) deleteOncePaged(run, nowMs);
      return `{"total_count":${matched.length},"workflow_runs":[${texts.join()}]}`;
    },
  });
}

function render(run: Run, { deps, nowMs, shown }: { deps: ApiDeps; nowMs: number; shown: Shown }): string {
  const attempt = currentAttempt(run, nowMs);
  if (attempt === undefined) throw new Error(`run ${run.id} is not visible`);
  shown.runs.add(run.id);
  return renderRunText(run, { attempt, nowMs, asAttempt: false }, deps.urls);
}

// GitHub does not delete a run in progress.
function deleteOncePaged(run: Run, nowMs: number): void {
  const attempt = run.deletedOncePaged === true ? currentAttempt(run, nowMs) : undefined;
  if (attempt !== undefined && attemptStatus(run, attempt, nowMs).status === "completed") run.deleted = true;
}

type Matcher = TimeRange & { readonly accepts: (run: Run) => boolean };

// Undefined for a filter that GitHub would not understand.
function matcherOf(c: ApiContext, nowMs: number): Matcher | undefined {
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
  return {
    fromMs: created.fromMs,
    toMs: Math.min(created.toMs, nowMs),
    accepts: (run) =>
      isVisible(run, nowMs) &&
      (run.listedFromMs ?? -Infinity) <= nowMs &&
      (actor === undefined || run.actor.login === actor) &&
      (branch === undefined || run.headBranch === branch) &&
      (event === undefined || run.event === event) &&
      (sha === undefined || run.headSha === sha) &&
      (suite === undefined || String(run.id + 1_000_000_000) === suite) &&
      (status === undefined || statusesOf(run, nowMs).includes(status)),
  };
}

/** @returns at most `limit` matching runs, newest first. */
function newestFirst({ runs, hasRunsOutOfOrder }: Repository, { fromMs, toMs, accepts }: Matcher, limit: number): readonly Run[] {
  if (hasRunsOutOfOrder === true) {
    const isInRange = ({ createdAtMs }: Run) => createdAtMs >= fromMs && createdAtMs <= toMs;
    return runs
      .filter((run) => isInRange(run) && accepts(run))
      .toReversed()
      .slice(0, limit);
  }
  const found: Run[] = [];
  for (let index = countUntil(runs, toMs) - 1; index >= 0 && found.length < limit; index--) {
    const run = runs[index];
    if (run === undefined || run.createdAtMs < fromMs) break;
    if (accepts(run)) found.push(run);
  }
  return found;
}

/** @returns the number of runs created at or before `toMs`, by bisection, since a busy repository's list is requested often. */
function countUntil(runs: readonly Run[], toMs: number): number {
  let [low, high] = [0, runs.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((runs[middle]?.createdAtMs ?? Infinity) <= toMs) low = middle + 1;
    else high = middle;
  }
  return low;
}

function statusesOf(run: Run, nowMs: number): readonly unknown[] {
  if (run.recorded) return [run.recorded["status"], run.recorded["conclusion"]];
  const attempt = currentAttempt(run, nowMs);
  if (attempt === undefined) return [];
  const { status, conclusion } = attemptStatus(run, attempt, nowMs);
  return [status, conclusion];
}
