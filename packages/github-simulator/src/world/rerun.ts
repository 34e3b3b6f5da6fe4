// Adds a new attempt of a run. "Re-run failed jobs" lists the passed ones again: under new ids with their old times, as webhooks of 2026
// show (actions/actions-runner-controller#4315), or under their old ids.

import { type Builder, latestAttempt } from "./builder.ts";
import type { Attempt, Conclusion, Job, Owner, Run } from "./model.ts";

export type RerunOptions = {
  readonly atMs: number;
  readonly failedOnly?: boolean;
  /** How passed jobs appear in the new attempt; at GitHub as `new-ids`. */
  readonly copies?: "new-ids" | "same-ids";
  /** The conclusion of the jobs that run again; null: they are still running. */
  readonly conclusion?: Conclusion | null;
  readonly actor?: Owner;
  readonly bytes?: number;
};

/** @throws RangeError above GitHub's limit of 50 reruns. */
export function addRerun(builder: Builder, run: Run, options: RerunOptions): Attempt {
  const previous = latestAttempt(run);
  if (previous.number > 50) throw new RangeError(`run ${run.id} was re-run 50 times, GitHub's limit`);
  const attempt: Attempt = {
    number: previous.number + 1,
    createdAtMs: options.atMs,
    triggeringActor: options.actor ?? run.actor,
    jobs: [],
  };
  run.attempts.push(attempt);
  for (const job of previous.jobs) {
    if (options.failedOnly === true && job.conclusion === "success") {
      attempt.jobs.push(options.copies === "same-ids" ? job : copyOf(builder, job, attempt));
    } else if (job.runner === null && job.conclusion === "skipped") {
      builder.jobWithoutRunner(run, { name: job.name, conclusion: "skipped" });
    } else {
      const conclusion = options.conclusion === undefined ? "success" : options.conclusion;
      builder.job(run, {
        name: job.name,
        labels: job.labels.length > 0 ? job.labels : ["ubuntu-24.04"],
        steps: job.stepShape,
        ...(conclusion === null ? { durationMs: null } : { conclusion }),
        ...(options.bytes === undefined ? {} : { bytes: options.bytes }),
      });
    }
  }
  return attempt;
}

function copyOf(builder: Builder, job: Job, attempt: Attempt): Job {
  const { lag: _lag, ...original } = job.copyOf ?? job;
  const id = builder.world.takeId(job.id + (attempt.createdAtMs - job.createdAtMs) / 2);
  return builder.world.addJob({
    ...original,
    id,
    attempt: attempt.number,
    copyOf: original,
    log: { kind: "of-job", job: original },
  });
}
