// What the rules ask of a job object: which fields it has, and what follows from them. Pure.

import type { JobStep } from "@actions-archive/archive/log/steps/step-cost";
import { jobColumns } from "@actions-archive/database/rows/job-rows";

export type JobFacts = {
  readonly conclusion: string | null;
  readonly completedAt: Date | undefined;
  readonly steps: readonly JobStep[];
  /** Whether it was skipped: its conclusion says so, and nothing else in the object says that it ran. */
  readonly isSkipped: boolean;
  /** Whether it never had a runner, and what that makes it; undefined when the object does not say. */
  readonly neverRan: "not_run" | "not_a_job" | undefined;
  /** Whether the object says that it had no runner, and nothing says that it ran a step. */
  readonly mayNeverHaveRun: boolean;
};

/**
 * A field that is missing is unknown, and decides nothing: a runner that is null or 0 and an empty list of steps say that
 * nothing ran. Then a job that was cancelled, or asked for a runner by its labels, is a job; anything else is a check run
 * posing as one (https://github.com/actions/actions-runner-controller/issues/2118).
 */
export function jobFacts(object: unknown): JobFacts {
  const columns = jobColumns(object);
  // jobColumns answers for every object with ids; the ledger holds no other.
  const fields = object as Record<string, unknown>;
  const hadNoRunner = fields["runner_id"] === null || fields["runner_id"] === 0;
  const hadNoSteps = Array.isArray(fields["steps"]) && fields["steps"].length === 0;
  const conclusion = columns?.conclusion ?? null;
  const completedAt = columns?.completed_at ? new Date(columns.completed_at) : undefined;
  const hadRunner = typeof fields["runner_id"] === "number" && fields["runner_id"] > 0;
  const ranSteps = columns?.steps.some((step) => step.conclusion !== null && step.conclusion !== "skipped") ?? false;
  return {
    conclusion,
    completedAt,
    // A wrong conclusion would cost a log without a single request for it: GitHub names no runner of a skipped job.
    isSkipped: conclusion === "skipped" && !hadRunner && !ranSteps,
    steps: columns?.steps ?? [],
    neverRan: hadNoRunner && hadNoSteps ? kindWithoutRunner(conclusion, fields["labels"]) : undefined,
    // Older servers leave the steps out; null is a wrong answer.
    mayNeverHaveRun: hadNoRunner && fields["steps"] !== undefined && !ranSteps,
  };
}

function kindWithoutRunner(conclusion: string | null, labels: unknown): JobFacts["neverRan"] {
  if (conclusion === "cancelled" || (Array.isArray(labels) && labels.length > 0)) return "not_run";
  return Array.isArray(labels) ? "not_a_job" : undefined;
}
