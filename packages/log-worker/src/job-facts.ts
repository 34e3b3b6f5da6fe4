// Derives from a job object the facts that classify its log. Pure.

import type { JobStep } from "@actions-archive/archive/log/steps/step-cost";
import { jobColumns } from "@actions-archive/database/rows/job-rows";

export type JobFacts = {
  readonly conclusion: string | null;
  readonly completedAt: Date | undefined;
  readonly steps: readonly JobStep[];
  /** Whether the job was skipped: its conclusion is `skipped`, and no other field shows that it ran. */
  readonly isSkipped: boolean;
  /** What the job is when it never had a runner; undefined when it had one or the object does not show it. */
  readonly neverRan: "not_run" | "not_a_job" | undefined;
  /** Whether the object shows no runner, and no step that ran. */
  readonly mayNeverHaveRun: boolean;
};

/**
 * A missing field is unknown and decides nothing. A runner that is null or 0 together with an empty list of steps means that
 * nothing ran. Such a job that was cancelled or has labels is a job; any other is a check run that GitHub lists as a job
 * (https://github.com/actions/actions-runner-controller/issues/2118).
 */
export function jobFacts(object: unknown): JobFacts {
  const columns = jobColumns(object);
  // jobColumns accepts every object with ids, and the ledger holds no other.
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
    // A wrong conclusion would lose the log without a single request. GitHub names no runner for a skipped job.
    isSkipped: conclusion === "skipped" && !hadRunner && !ranSteps,
    steps: columns?.steps ?? [],
    neverRan: hadNoRunner && hadNoSteps ? kindWithoutRunner(conclusion, fields["labels"]) : undefined,
    // Older servers omit the steps; null is a wrong answer.
    mayNeverHaveRun: hadNoRunner && fields["steps"] !== undefined && !ranSteps,
  };
}

function kindWithoutRunner(conclusion: string | null, labels: unknown): JobFacts["neverRan"] {
  if (conclusion === "cancelled" || (Array.isArray(labels) && labels.length > 0)) return "not_run";
  return Array.isArray(labels) ? "not_a_job" : undefined;
}
