// The state that a correct archive of a job's log must have, derived from the world only. States and reasons are those of the archive's
// documentation, as plain strings: the simulator imports no code of the archive.

import { dayMs } from "../durations.ts";
import type { Job } from "../world/model.ts";
import { jobStatus } from "../world/timeline.ts";
import { logContent, logSha256 } from "./log-content.ts";

export type Expected =
  | {
      readonly state: "archived";
      readonly rawSha256: string;
      readonly rawBytes: number;
      readonly flags: readonly string[];
    }
  | { readonly state: "absent"; readonly reason: "not_run" | "not_a_job" | "copied" | "expired" | "deleted" | "empty" }
  | { readonly state: "failed"; readonly reason: "no_access" };

/**
 * @returns the final state that an archiver must reach from now on. Undefined for a job that is not completed or can no longer be found,
 * because its run was deleted.
 */
export async function expectedOf(job: Job, nowMs: number): Promise<Expected | undefined> {
  const { run } = job;
  if (run.deleted || (job.recorded === undefined && jobStatus(job, nowMs) !== "completed")) return undefined;
  if (conclusionSeen(job) === "skipped") return { state: "absent", reason: "not_run" };
  if (job.copyOf !== undefined && (await expectedOf(job.copyOf, nowMs))?.state === "archived")
    return { state: "absent", reason: "copied" };
  if (run.repository.hidden) return { state: "failed", reason: "no_access" };
  if (isExpired(job, nowMs)) return { state: "absent", reason: "expired" };
  const content = run.logsDeleted ? undefined : logContent(job);
  if (content === undefined) return { state: "absent", reason: reasonWithoutLog(job) };
  if (content.bytes === 0) return { state: "absent", reason: "empty" };
  const rawSha256 = await logSha256(job);
  if (rawSha256 === undefined) throw new Error(`job ${job.id} has a log without bytes`);
  return { state: "archived", rawSha256, rawBytes: content.bytes, flags: flagsOf(job) };
}

/** @returns whether retention, of the run or else of its repository, has removed the job's log. Recorded logs do not expire. */
export function isExpired(job: Job, nowMs: number): boolean {
  if (job.log.kind === "expired") return true;
  if (job.recorded !== undefined) return false;
  const days = job.run.retentionDays ?? job.run.repository.retentionDays;
  return nowMs - (job.completedAtMs ?? job.createdAtMs) > days * dayMs;
}

function reasonWithoutLog(job: Job): "not_run" | "not_a_job" | "deleted" {
  const hadRunner = job.recorded ? Boolean(job.recorded["runner_id"]) : job.runner !== null && Boolean(job.runner.id);
  const steps = job.recorded ? job.recorded["steps"] : job.runner === null ? [] : undefined;
  const hadSteps = !Array.isArray(steps) || steps.length > 0;
  if (hadRunner || hadSteps) return "deleted";
  const labels = job.recorded ? job.recorded["labels"] : job.labels;
  const isCancelled = conclusionSeen(job) === "cancelled";
  return isCancelled || (Array.isArray(labels) && labels.length > 0) ? "not_run" : "not_a_job";
}

function conclusionSeen(job: Job): unknown {
  return job.recorded ? job.recorded["conclusion"] : job.conclusion;
}

function flagsOf(job: Job): readonly string[] {
  if (job.log.kind === "of-job") return ["outside_job_window", "same_as_other_job"];
  if (job.log.kind === "generated" && !job.log.style.endMarker) return ["no_end_marker"];
  return [];
}
