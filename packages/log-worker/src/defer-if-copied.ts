// "Re-run failed jobs" lists the passed jobs again under new ids, and their webhooks come again too; the log of such a copy is
// the original's. A copy is told by what is known already, and GitHub is asked only where nothing known decides.
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
/** Attempts that cannot be listed for so long after the job was first seen are not waited for: the log may be requested twice. */
const maxListingWaitMs = 60 * 60 * 1000;

/**
 * Whether nothing more is to be done for this job now: it is a copy, recorded or waiting for its original, or it waits until
 * it is known not to be one. Idempotent.
 * @throws the client's errors when the run must be asked for and cannot be had now.
 */
export async function deferIfCopied(worker: LogWorker, job: LogJob, signal: AbortSignal): Promise<boolean> {
  if (job.run_attempt === 1) return false;
  const { runner_name, started_at, completed_at } = jobColumns(job.object) ?? {};
  // A copy has its original's runner, start and end: what lacks one of them is none.
  if (!runner_name || !started_at || !completed_at) return false;
  const original = await findOriginal(worker.db, job.job_id);
  // What was removed must not come back under the id of its copy.
  if (original?.log_state === "archived" || original?.log_reason === "removed") {
    await writeAbsence(worker, job, "copied", original.job_id);
    return true;
  }
  if (original?.log_state === "absent" || original?.log_state === "failed") return false;
  const seconds = Math.min(maxWaitSeconds, minWaitSeconds * 2 ** Math.min(job.tries, 10));
  if (original !== undefined) {
    await deferLog(worker.db, job.job_id, seconds, `waits for job ${original.job_id}, of which it is a copy`);
    return true;
  }
  if (Date.now() - job.first_seen_at.getTime() > maxListingWaitMs) return false;
  const completedAt = new Date(completed_at);
  const earlier = await findEarlierAttempts(worker.db, job);
  if (isNoCopy(job, completedAt, earlier)) return false;
  // A webhook can tell of a run that no listing showed yet.
  if (earlier.known < job.run_attempt - 1) {
    if (!(await learnRun(worker, job, signal))) return false;
    if (isNoCopy(job, completedAt, await findEarlierAttempts(worker.db, job))) return false;
  }
  await deferLog(worker.db, job.job_id, seconds, "an earlier attempt of the run is not listed yet");
  return true;
}

/** No job of an earlier attempt is like it, or none can be: a run is only re-run once all its jobs have ended. */
function isNoCopy({ run_attempt }: LogJob, completedAt: Date, earlier: EarlierAttempts): boolean {
  if (earlier.settled === run_attempt - 1) return true;
  return earlier.startedAt !== null && completedAt > earlier.startedAt;
}

/** One call; the fetcher lists the attempts then. False when there is no such run any more: nothing can be compared. */
async function learnRun({ db, github }: LogWorker, job: LogJob, signal: AbortSignal): Promise<boolean> {
  try {
    const { data } = await getRun(github, { repository: job.full_name, runId: job.run_id, signal });
    // Under a name that another repository has taken, this is not the run.
    if (data.repository?.id !== undefined && data.repository.id !== job.repository_id) return false;
    await recordRuns(db, job.repository_id, [data]);
    return true;
  } catch (error) {
    if (error instanceof PermanentError && error.code === "github/not-found") return false;
    throw error;
  }
}
