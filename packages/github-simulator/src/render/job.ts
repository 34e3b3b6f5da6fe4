// Renders a job with its steps, as GitHub shows it at a time.

import type { Job, StepTimes } from "../world/model.ts";
import { planSteps, type PlannedStep } from "../world/steps.ts";
import { jobStatus, shownAtMs } from "../world/timeline.ts";
import { fullNameOf } from "../world/world.ts";
import type { Json } from "./repository.ts";
import { nodeId, seconds, type Urls } from "./urls.ts";

/** `job` of GitHub's OpenAPI description, with the deviations that docs/simulator.md lists. */
export function renderJob(job: Job, atMs: number, urls: Urls): Json {
  if (job.recorded) return { ...job.recorded };
  const { run } = job;
  const nowMs = shownAtMs(job, atMs);
  const repositoryUrl = `${urls.api}/repos/${fullNameOf(run.repository)}`;
  const status = jobStatus(job, nowMs);
  const runner = status === "queued" ? null : job.runner;
  const completedAtMs = status === "completed" ? job.completedAtMs : null;
  const rendered: Json = {
    id: job.id,
    run_id: run.id,
    workflow_name: run.workflow.name,
    head_branch: run.headBranch,
    run_url: `${repositoryUrl}/actions/runs/${run.id}`,
    run_attempt: job.attempt,
    node_id: nodeId("CR", job.id),
    head_sha: run.headSha,
    url: `${repositoryUrl}/actions/jobs/${job.id}`,
    html_url: `${urls.web}/${fullNameOf(run.repository)}/actions/runs/${run.id}/job/${job.id}`,
    status,
    conclusion: status === "completed" ? job.conclusion : null,
    created_at: seconds(job.createdAtMs),
    started_at: seconds(status === "queued" ? job.createdAtMs : (job.startedAtMs ?? job.createdAtMs)),
    completed_at: completedAtMs === null ? null : seconds(completedAtMs),
    name: job.name,
    steps: renderSteps(job, nowMs),
    check_run_url: `${repositoryUrl}/check-runs/${job.id}`,
    labels: job.labels,
    runner_id: runner?.id ?? null,
    runner_name: runner?.name ?? null,
    runner_group_id: runner?.groupId ?? null,
    runner_group_name: runner?.groupName ?? null,
    ...job.overrides,
  };
  return Object.fromEntries(Object.entries(rendered).filter(([, value]) => value !== undefined));
}

function renderSteps(job: Job, nowMs: number): Json[] {
  if (job.stepShape.kind === "none") return [];
  const times = job.run.repository.stepTimes;
  return planSteps(job)
    .filter((step) => step.startedAtMs <= nowMs || jobStatus(job, nowMs) === "in_progress")
    .map((step) =>
      renderStep(step, { nowMs, times, isBackwards: job.stepShape.endsBeforeStart === true && step.kind === "post" }),
    );
}

function renderStep(step: PlannedStep, view: { nowMs: number; times: StepTimes; isBackwards: boolean }): Json {
  const isDone = step.completedAtMs <= view.nowMs;
  const isStarted = step.startedAtMs <= view.nowMs;
  const endsAtMs = view.isBackwards ? step.startedAtMs - 2_000 : step.completedAtMs;
  return {
    name: step.name,
    status: isDone ? "completed" : isStarted ? "in_progress" : "queued",
    conclusion: isDone ? step.conclusion : null,
    number: step.number,
    started_at: isStarted ? stepTime(step.startedAtMs, view.times) : null,
    completed_at: isDone ? stepTime(endsAtMs, view.times) : null,
  };
}

function stepTime(ms: number, times: StepTimes): string {
  const utc = seconds(ms);
  switch (times.form) {
    case "plain":
      return utc;
    case "milliseconds":
      return utc.replace("Z", ".000Z");
    case "zone": {
      const sign = times.minutes < 0 ? "-" : "+";
      const minutes = Math.abs(times.minutes);
      const offset = `${String(Math.floor(minutes / 60)).padStart(2, "0")}:${String(minutes % 60).padStart(2, "0")}`;
      return seconds(ms + times.minutes * 60_000).replace("Z", `.000${sign}${offset}`);
    }
  }
}
