// The four endpoints of jobs: lists of a run and of an attempt, a job, and the redirect to its log.
// https://docs.github.com/rest/actions/workflow-jobs

import { Hono } from "hono";

import { isExpired } from "../log/expected.ts";
import { renderJob } from "../render/job.ts";
import type { Json } from "../render/repository.ts";
import type { Job } from "../world/model.ts";
import { currentAttempt, jobStatus, shownAtMs, shownCompletedAtMs } from "../world/timeline.ts";
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
import { findRun } from "./runs.ts";

const page = "/actions/workflow-jobs";
const logsPage = `${page}#download-job-logs-for-a-workflow-run`;

export function jobRoutes(deps: ApiDeps): Hono<ApiEnv> {
  const app = new Hono<ApiEnv>();
  app.get("/actions/runs/:run_id/jobs", (c) => {
    const run = findRun(c, deps);
    const latest = run && currentAttempt(run, deps.clock.nowMs());
    if (!run || !latest) return notFound(c, `${page}#list-jobs-for-a-workflow-run`);
    const attempts = c.req.query("filter") === "all" ? run.attempts : [latest];
    const jobs = attempts.flatMap((attempt) => attempt.jobs);
    return listJobs(c, deps, { jobs, path: `/actions/runs/${run.id}/jobs` });
  });
  app.get("/actions/runs/:run_id/attempts/:attempt_number/jobs", (c) => {
    const run = findRun(c, deps);
    const number = numberOf(c.req.param("attempt_number"));
    const attempt = run?.attempts.find((each) => each.number === number && each.createdAtMs <= deps.clock.nowMs());
    if (!run || !attempt || !hasFeature(deps.settings, "3.5")) return notFound(c, `${page}#list-jobs-for-a-workflow-run-attempt`);
    return listJobs(c, deps, { jobs: attempt.jobs, path: `/actions/runs/${run.id}/attempts/${attempt.number}/jobs` });
  });
  app.get("/actions/jobs/:job_id", (c) => {
    const job = findJob(c, deps);
    if (!job) return notFound(c, `${page}#get-a-job-for-a-workflow-run`);
    return c.json(show(c, deps, { job, nowMs: deps.clock.nowMs() }));
  });
  app.get("/actions/jobs/:job_id/logs", (c) => redirectToLog(c, deps));
  return app;
}

function listJobs(c: ApiContext, deps: ApiDeps, { jobs, path }: { jobs: readonly Job[]; path: string }): Response {
  const nowMs = deps.clock.nowMs();
  // Ascending by id in 5 of 6 recorded lists.
  const visible = [...new Set(jobs)].filter((job) => isVisible(job, nowMs)).toSorted((left, right) => left.id - right.id);
  return pagedAnswer(c, {
    items: visible,
    path: `/repositories/${c.var.repository.id}${path}`,
    urls: deps.urls,
    bodyOf: (shown) => ({ total_count: visible.length, jobs: shown.map((job) => show(c, deps, { job, nowMs })) }),
  });
}

function show(c: ApiContext, { urls }: ApiDeps, { job, nowMs }: { job: Job; nowMs: number }): Json {
  if (jobStatus(job, shownAtMs(job, nowMs)) === "completed") c.env.shown.jobs.add(job.id);
  return renderJob(job, nowMs, urls);
}

function findJob(c: ApiContext, deps: ApiDeps): Job | undefined {
  const job = deps.world.jobs.get(numberOf(c.req.param("job_id")) ?? 0);
  if (job === undefined || job.run.repository !== c.var.repository || job.run.deleted) return undefined;
  return isVisible(job, deps.clock.nowMs()) ? job : undefined;
}

// A copy exists since its attempt was created, whatever times it has.
function isVisible(job: Job, nowMs: number): boolean {
  if (job.lag?.shows === "missing" && nowMs < shownCompletedAtMs(job)) return false;
  const attempt = job.run.attempts.find((each) => each.number === job.attempt);
  return job.recorded !== undefined || (attempt?.createdAtMs ?? job.createdAtMs) <= nowMs;
}

function redirectToLog(c: ApiContext, deps: ApiDeps): Response {
  const nowMs = deps.clock.nowMs();
  const { credential } = c.env;
  const job = findJob(c, deps);
  if (job === undefined) return notFound(c, logsPage);
  if (!credential.canReadActions) {
    const message =
      credential.kind === "installation" ? "Resource not accessible by integration" : "Must have admin rights to Repository.";
    return errorAnswer(c, 403, message, logsPage);
  }
  if (isExpired(job, nowMs)) return errorAnswer(c, 410, "Server Error", logsPage);
  if (job.run.logsDeleted || job.log.kind === "not-found") return notFound(c, logsPage);
  // A queued or running job gets a link too; its blob does not exist yet.
  if (job.recorded === undefined && job.runner === null && jobStatus(job, nowMs) === "completed") return notFound(c, logsPage);
  c.header("location", deps.logOrigin + deps.links.issue(job.id, nowMs));
  c.header("content-type", "text/html;charset=utf-8");
  return c.body("", 302);
}
