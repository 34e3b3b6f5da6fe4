// Converts a job object, as GitHub sent it, to column values, field by field and without throwing. GitHub omits fields, sends null for
// required ones, and puts any text into names; one invalid field must not lose a job.
export type StepColumns = {
  step_number: number;
  step_name: string | null;
  status: string | null;
  conclusion: string | null;
  started_at: string | null;
  completed_at: string | null;
};

export type JobColumns = {
  job_id: number;
  run_id: number;
  run_attempt: number | null;
  workflow_name: string | null;
  job_name: string | null;
  head_branch: string | null;
  head_sha: string | null;
  status: string | null;
  conclusion: string | null;
  runner_id: number | null;
  runner_name: string | null;
  runner_group_id: number | null;
  runner_group_name: string | null;
  labels: string[];
  html_url: string | null;
  created_at: string | null;
  started_at: string | null;
  completed_at: string | null;
  steps: StepColumns[];
};

/** @returns undefined if the object has no usable job and run id, and so is no job. */
export function jobColumns(object: unknown): JobColumns | undefined {
  const job = asFields(object);
  const [job_id, run_id] = [id(job["id"]), id(job["run_id"])];
  if (job_id === null || run_id === null) return undefined;
  return {
    job_id,
    run_id,
    run_attempt: id(job["run_attempt"]),
    workflow_name: text(job["workflow_name"]),
    job_name: text(job["name"]),
    head_branch: text(job["head_branch"]),
    head_sha: text(job["head_sha"]),
    status: text(job["status"]),
    conclusion: text(job["conclusion"]),
    runner_id: integer(job["runner_id"]),
    runner_name: text(job["runner_name"]),
    runner_group_id: integer(job["runner_group_id"]),
    runner_group_name: text(job["runner_group_name"]),
    labels: Array.isArray(job["labels"]) ? job["labels"].map(text).filter((label) => label !== null) : [],
    html_url: text(job["html_url"]),
    created_at: instant(job["created_at"]),
    started_at: instant(job["started_at"]),
    completed_at: instant(job["completed_at"]),
    steps: stepColumns(job["steps"]),
  };
}

/**
 * Measures the facts about steps in an object: the number of steps, and for each whether it is completed and whether its conclusion and
 * its two times are known. A webhook's last steps may still be in progress, and a later listing shows them completed.
 */
export function fullnessOf({ steps }: Pick<JobColumns, "steps">): number {
  const known = steps.flatMap(({ status, conclusion, started_at, completed_at }) => [
    true,
    status === "completed",
    conclusion !== null,
    started_at !== null,
    completed_at !== null,
  ]);
  return known.filter(Boolean).length;
}

// A repeated number would break the batch; the later of two steps wins, in GitHub's order.
function stepColumns(steps: unknown): StepColumns[] {
  const byNumber = new Map<number, StepColumns>();
  for (const entry of Array.isArray(steps) ? steps : []) {
    const step = asFields(entry);
    const step_number = integer(step["number"]);
    if (step_number === null || step_number < 0 || step_number > 2_147_483_647) continue;
    byNumber.set(step_number, {
      step_number,
      step_name: text(step["name"]),
      status: text(step["status"]),
      conclusion: text(step["conclusion"]),
      started_at: instant(step["started_at"]),
      completed_at: instant(step["completed_at"]),
    });
  }
  return [...byNumber.values()].toSorted((a, b) => a.step_number - b.step_number);
}

/** Text that Postgres accepts: U+0000 and half a surrogate pair become U+FFFD. Null if it is not a string. */
export function text(value: unknown): string | null {
  return typeof value === "string" ? value.replaceAll("\0", "\uFFFD").toWellFormed() : null;
}

/** A time as ISO 8601 in UTC; null if Postgres accepts none like it. */
export function instant(value: unknown): string | null {
  if (typeof value !== "string" || !/^\d{4}-\d{2}-\d{2}T/.test(value)) return null;
  const date = new Date(value);
  if (Number.isNaN(date.getTime())) return null;
  const iso = date.toISOString();
  // The offset may lead out of four-digit years, and Postgres has no year 0.
  return /^\d{4}-/.test(iso) && !iso.startsWith("0000") ? iso : null;
}

/** A GitHub id; null if it is none. */
export function id(value: unknown): number | null {
  const number = integer(value);
  return number !== null && number > 0 ? number : null;
}

/** The fields of an object; none if it is not one. */
export function asFields(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}

function integer(value: unknown): number | null {
  return typeof value === "number" && Number.isSafeInteger(value) ? value : null;
}
