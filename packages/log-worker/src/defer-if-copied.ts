// Detects jobs that are copies. "Re-run failed jobs" lists the passed jobs again under new ids and repeats their webhooks; a
// copy's log is its original's. The ledger decides where it can, and GitHub is requested only otherwise.
// https://github.com/actions/actions-runner-controller/issues/4315

import { PermanentError } from "@actions-archive/core/errors";
import { type EarlierAttempts, findEarlierAttempts, findOriginal } from "@actions-archive/database/ledger/earlier-attempts";
import type { LogJob } from "@actions-archive/database/ledger/log-jobs";
import { deferLog } from "@actions-archive/database/ledger/log-states";
import { recordRuns } from "@actions-archive/database/ledger/runs";
import { jobColumns } from "@actions-archive/database/rows/job-rows";
import { getRun } from "@actions-archive/github/endpoints/workflow-runs";

import type { LogWorker } from "./log-worker.ts";
import { writeAbsence } from "./write-outcome.ts";

/** A waiting copy is retried after 3 s, 6 s, … 5 minutes, and at once when its original ends (`makeCopiesDue`). */
const minWaitSeconds = 3;
const maxWaitSeconds = 5 * 60;
/**
 * The maximum wait for earlier attempts to be listed, since the job was first seen. After it, the log may be downloaded twice.
 */
const maxListingWaitMs = 60 * 60 * 1000;

/**
 * Defers the job or records it as a copy.
 * @returns true when the job needs no download now: it is a copy, recorded or waiting for its original, or whether it is one is
 * not known yet. Idempotent.
 * @throws the client's errors when the run is needed and cannot be read now.
 */
export async function deferIfCopied(worker: LogWorker, job: LogJob, signal: AbortSignal): Promise<boolean> {
  if (job.run_attempt === 1) return false;
  const { runner_name, started_at, completed_at } = jobColumns(job.object) ?? {};
  // A copy has its original's runner, start and end: a job that lacks one of them is no copy.
  if (!runner_name || !started_at || !completed_at) return false;
  const original = await findOriginal(worker.db, job.job_id);
  // A removed log must not be archived again under the id of its copy.
  if (original?.log_state === "archived" || original?.log_reason === "removed") {
    await writeAbsence(worker, job, "copied", original.job_id);
    return true;
  }
  if (original?.log_state === "absent" || original?.log_state === "failed") return false;
  const seconds = Math.min(maxWaitSeconds, minWaitSeconds * 2 ** Math.min(job.tries, 10));
  if (original !== undefined) {
    await deferLog(worker.db, job.job_id, seconds, `waiting for job ${original.job_id}, whose copy it is`);
    return true;
  }
  if (Date.now() - job.first_seen_at.getTime() > maxListingWaitMs) return false;
  const completedAt = new Date(completed_at);
  const earlier = await findEarlierAttempts(worker.db, job);
  if (isNoCopy(job, completedAt, earlier)) return false;
  // A webhook can report a run that no listing has shown yet.
  if (earlier.known < job.run_attempt - 1) {
    if (!(await recordRun(worker, job, signal))) return false;
    if (isNoCopy(job, completedAt, await findEarlierAttempts(worker.db, job))) return false;
  }
  await deferLog(worker.db, job.job_id, seconds, "an earlier attempt of the run is not listed yet");
  return true;
}

/** Whether no earlier attempt has an equal job, or none can have one: a run is re-run only after all its jobs have ended. */
function isNoCopy({ run_attempt }: LogJob, completedAt: Date, earlier: EarlierAttempts): boolean {
  if (earlier.settled === run_attempt - 1) return true;
  return earlier.startedAt !== null && completedAt > earlier.startedAt;
}

/**
 * Records the run with one request; the fetcher then lists its attempts.
 * @returns false when the run does not exist any more, so that nothing can be compared.
 */
async function recordRun({ db, github }: LogWorker, job: LogJob, signal: AbortSignal): Promise<boolean> {
  try {
    const { data } = await getRun(github, { repository: job.full_name, runId: job.run_id, signal });
    // Another repository may have taken the name.
    if (data.repository?.id !== undefined && data.repository.id !== job.repository_id) return false;
    await recordRuns(db, job.repository_id, [data]);
    return true;
  } catch (error) {
    if (error instanceof PermanentError && error.code === "github/not-found") return false;
    throw error;
  }
}
