// Checks that every job of the oracle has one row, with the right state, ids and steps, and that no other job has one.

import { generatedStepLines, type StepLines } from "@actions-archive/github-simulator/log/log-text";
import { renderJob } from "@actions-archive/github-simulator/render/job";
import type { Job } from "@actions-archive/github-simulator/world/model";
import { z } from "zod";

import type { CheckContext } from "./check-context.ts";
import type { TrueJob } from "./oracle.ts";
import { query, type JobRow } from "./rows.ts";
import { type Violation, violationsOf } from "./violation.ts";

/** I1 to I4, for rows of jobs. */
export async function checkJobs(context: CheckContext): Promise<Violation[]> {
  const { rows, oracle } = context;
  const found: Violation[] = [];
  for (const wanted of oracle.values()) {
    const [row, ...others] = rows.byJob.get(wanted.job.id) ?? [];
    if (others.length > 0) found.push({ invariant: "I3", what: `job ${wanted.job.id} has ${others.length + 1} rows` });
    if (row !== undefined) found.push(...checkRow(context, wanted, row));
    else if (wanted.ends !== undefined && !wanted.isOptional)
      found.push({ invariant: "I1", what: `${nameOf(wanted.job)} has no row` });
  }
  const unknown = [...rows.byJob.keys()].filter((id) => !oracle.has(id));
  const phantoms = unknown.map((id) => `job ${id} has a row, and the simulator no such completed job`);
  return [...found, ...violationsOf("I4", phantoms), ...(await checkDueWork(context)), ...(await checkSteps(context))];
}

function nameOf({ id, run, attempt }: Job): string {
  return `job ${id} of run ${run.id}, attempt ${attempt}`;
}

function checkRow(context: CheckContext, { job, ends }: TrueJob, row: JobRow): Violation[] {
  const name = nameOf(job);
  if (ends === undefined) return [{ invariant: "I4", what: `${name} was never shown and has a row` }];
  const { hadFaults } = context.evidence;
  const found: Violation[] = [];
  const isAt = row.run_id === job.run.id && row.repository_id === job.run.repository.id && row.run_attempt === job.attempt;
  if (!isAt) found.push({ invariant: "I4", what: `${name} stands under run ${row.run_id}, attempt ${row.run_attempt}` });
  if (isRemoved(context, row)) return found;
  const text = (end: unknown) => JSON.stringify(end);
  const wrongEnd = (invariant: "I1" | "I2") =>
    found.push({ invariant, what: `${name}: expected ${ends.map(text).join(" or ")}, found ${text(endOf(row, hadFaults))}` });
  // The bytes of an archived log are another invariant.
  const outcome = (state: string, reason: unknown, flags: unknown) => text([state, reason ?? null, flags ?? []]);
  const isRightKind = ends.some(
    (end) =>
      outcome(end.state, "reason" in end ? end.reason : null, "flags" in end ? end.flags : []) ===
      outcome(row.log_state, row.log_reason, flagsOf(row, hadFaults)),
  );
  if (!isRightKind) wrongEnd("I1");
  else if (!ends.some((end) => text(end) === text(endOf(row, hadFaults)))) wrongEnd("I2");
  return found;
}

// Removals by retention or an operator are unknown to the simulator.
function isRemoved({ rows }: CheckContext, { log_state, log_reason, job_id }: JobRow): boolean {
  return log_state === "absent" && log_reason === "removed" && [...rows.tombstones].some((key) => key.includes(`/${job_id}.`));
}

function endOf(row: JobRow, hadFaults: boolean): unknown {
  const { log_state: state, log_reason: reason, log_bytes: rawBytes, log_sha256: rawSha256 } = row;
  return state === "archived" ? { state, rawSha256, rawBytes, flags: flagsOf(row, hadFaults) } : { state, reason };
}

// The simulator knows the flags of a log's content. The flag of a crash before the record depends on the faults.
function flagsOf({ log_flags }: JobRow, hadFaults: boolean): string[] {
  return hadFaults ? log_flags.filter((flag) => flag !== "adopted") : log_flags;
}

// Due work must be reported as due.
async function checkDueWork({ evidence, rows }: CheckContext): Promise<Violation[]> {
  const gaps = await query<{ job_id: number }>(
    evidence.client,
    "select distinct job_id from audit.gaps where job_id is not null",
  );
  const listed = new Set(gaps.map(({ job_id }) => job_id));
  const owed = rows.jobs.filter(({ log_state, job_id }) => /pending|failed/.test(log_state) && !listed.has(job_id));
  return violationsOf(
    "I1",
    owed.map(({ job_id, log_state }) => `job ${job_id} is ${log_state}, and audit.gaps does not say so`),
  );
}

const Time = z.iso
  .datetime({ offset: true })
  .transform((text) => Date.parse(text))
  .nullish()
  .transform((time) => time ?? null);
const Step = z.object({
  number: z.int(),
  name: z.string().nullish(),
  conclusion: z.string().nullish(),
  started_at: Time,
  completed_at: Time,
});
const ServedJob = z.object({ conclusion: z.string().nullish(), steps: z.array(Step).nullish() });

type StepRow = {
  job_id: number;
  step_number: number;
  step_name: string | null;
  conclusion: string | null;
  started_at: Date | null;
  completed_at: Date | null;
  first_line: number | null;
  line_count: number | null;
};

/** A month has a million steps, so jobs are read in batches. */
const jobsAtOnce = 2_000;

async function checkSteps({ evidence, rows, oracle }: CheckContext): Promise<Violation[]> {
  const nowMs = evidence.simulator.clock.nowMs();
  const wrong: string[] = [];
  const known = [...oracle.values()].filter(({ job, ends }) => ends !== undefined && rows.byJob.has(job.id));
  for (let at = 0; at < known.length; at += jobsAtOnce) {
    const some = known.slice(at, at + jobsAtOnce);
    const found = await query<StepRow>(
      evidence.client,
      `select job_id, step_number, step_name, conclusion, started_at, completed_at, first_line, line_count
      from audit.steps where job_id = any($1::bigint[]) order by job_id, step_number`,
      [some.map(({ job }) => job.id)],
    );
    const steps = Map.groupBy(found, ({ job_id }) => job_id);
    for (const { job } of some) {
      const [row] = rows.byJob.get(job.id) ?? [];
      if (row !== undefined) wrong.push(...checkStepsOf(job, { row, steps: steps.get(job.id) ?? [], nowMs }));
    }
  }
  return violationsOf("I1", wrong);
}

type Found = { readonly row: JobRow; readonly steps: readonly StepRow[]; readonly nowMs: number };

function checkStepsOf(job: Job, { row, steps, nowMs }: Found): string[] {
  const served = ServedJob.parse(renderJob(job, nowMs, { api: "", web: "" }));
  const wanted = served.steps?.map(({ number, name, conclusion, started_at, completed_at }) =>
    [number, name ?? null, conclusion ?? null, started_at, completed_at]); // prettier-ignore
  const found = steps.map(({ step_number, step_name, conclusion, started_at, completed_at }) =>
    [step_number, step_name, conclusion, started_at?.getTime() ?? null, completed_at?.getTime() ?? null]); // prettier-ignore
  // GitHub may have shown no client how the last steps of a deleted run ended, since webhooks come before that.
  const shown = job.run.deleted
    ? wanted?.map((step, index) => (found[index]?.[4] === null ? [step[0], step[1], null, step[3], null] : step))
    : wanted;
  const compare = (what: string, is: unknown, must: unknown) =>
    JSON.stringify(is) === JSON.stringify(must)
      ? []
      : [`${what} of job ${job.id}: expected ${JSON.stringify(must)}, found ${JSON.stringify(is)}`];
  const wrong = [...compare("conclusion", row.conclusion, served.conclusion ?? null), ...compare("steps", found, shown ?? [])];
  // GitHub lists no steps of some jobs. In all others, every line of a generated log belongs to a step known to the simulator.
  if (job.log.kind !== "generated" || row.log_state !== "archived" || steps.length === 0) return wrong;
  const spoken = steps.flatMap(({ step_number, first_line, line_count }) =>
    first_line === null || line_count === null ? [] : [{ step_number, first_line, line_count }],
  );
  const known = generatedStepLines(job);
  // A line may stay unassigned where two placements fit, but must never belong to another step.
  const strayed = spoken.filter((lines) => !known.some((step) => isWithin(lines, step)));
  return [...wrong, ...compare("lines of other steps", strayed, [])];
}

function isWithin(lines: StepLines, step: StepLines): boolean {
  const end = ({ first_line, line_count }: StepLines) => first_line + line_count;
  return lines.step_number === step.step_number && lines.first_line >= step.first_line && end(lines) <= end(step);
}
