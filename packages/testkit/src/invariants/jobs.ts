// Every job of the truth has one row, with the end, the ids and the steps that it must have, and no other job has one.

import { generatedStepLines, type StepLines } from "@actions-archive/github-simulator/log/log-text";
import { renderJob } from "@actions-archive/github-simulator/render/job";
import type { Job } from "@actions-archive/github-simulator/world/model";
import { z } from "zod";

import type { CheckContext } from "./check-context.ts";
import type { TrueJob } from "./oracle.ts";
import { ask, type JobRow } from "./rows.ts";
import { type Violation, violationsOf } from "./violation.ts";

/** I1 to I4, as far as rows of jobs tell. */
export async function checkJobs(judged: CheckContext): Promise<Violation[]> {
  const { rows, truth } = judged;
  const found: Violation[] = [];
  for (const wanted of truth.values()) {
    const [row, ...others] = rows.byJob.get(wanted.job.id) ?? [];
    if (others.length > 0) found.push({ invariant: "I3", what: `job ${wanted.job.id} has ${others.length + 1} rows` });
    if (row !== undefined) found.push(...judgeRow(judged, wanted, row));
    else if (wanted.ends !== undefined && !wanted.isOptional)
      found.push({ invariant: "I1", what: `${nameOf(wanted.job)} has no row` });
  }
  const unknown = [...rows.byJob.keys()].filter((id) => !truth.has(id));
  const phantoms = unknown.map((id) => `job ${id} has a row, and the simulator no such completed job`);
  return [...found, ...violationsOf("I4", phantoms), ...(await judgeOwed(judged)), ...(await judgeSteps(judged))];
}

function nameOf({ id, run, attempt }: Job): string {
  return `job ${id} of run ${run.id}, attempt ${attempt}`;
}

function judgeRow(judged: CheckContext, { job, ends }: TrueJob, row: JobRow): Violation[] {
  const name = nameOf(job);
  if (ends === undefined) return [{ invariant: "I4", what: `${name} was never shown and has a row` }];
  const { hadFaults } = judged.evidence;
  const found: Violation[] = [];
  const isAt = row.run_id === job.run.id && row.repository_id === job.run.repository.id && row.run_attempt === job.attempt;
  if (!isAt) found.push({ invariant: "I4", what: `${name} stands under run ${row.run_id}, attempt ${row.run_attempt}` });
  if (isRemoved(judged, row)) return found;
  const told = (end: unknown) => JSON.stringify(end);
  const wrongEnd = (invariant: "I1" | "I2") =>
    found.push({ invariant, what: `${name}: expected ${ends.map(told).join(" or ")}, found ${told(endOf(row, hadFaults))}` });
  // Of an archived log, the bytes are a promise of their own.
  const outcome = (state: string, reason: unknown, flags: unknown) => told([state, reason ?? null, flags ?? []]);
  const isRightKind = ends.some(
    (end) =>
      outcome(end.state, "reason" in end ? end.reason : null, "flags" in end ? end.flags : []) ===
      outcome(row.log_state, row.log_reason, flagsOf(row, hadFaults)),
  );
  if (!isRightKind) wrongEnd("I1");
  else if (!ends.some((end) => told(end) === told(endOf(row, hadFaults)))) wrongEnd("I2");
  return found;
}

// By our retention or an operator: the simulator knows nothing of it.
function isRemoved({ rows }: CheckContext, { log_state, log_reason, job_id }: JobRow): boolean {
  return log_state === "absent" && log_reason === "removed" && [...rows.tombstones].some((key) => key.includes(`/${job_id}.`));
}

function endOf(row: JobRow, hadFaults: boolean): unknown {
  const { log_state: state, log_reason: reason, log_bytes: rawBytes, log_sha256: rawSha256 } = row;
  return state === "archived" ? { state, rawSha256, rawBytes, flags: flagsOf(row, hadFaults) } : { state, reason };
}

// The simulator knows a log's own doubts; that a crash left it without a record is no fault of the log.
function flagsOf({ log_flags }: JobRow, hadFaults: boolean): string[] {
  return hadFaults ? log_flags.filter((flag) => flag !== "adopted") : log_flags;
}

// What is owed is said to be owed.
async function judgeOwed({ evidence, rows }: CheckContext): Promise<Violation[]> {
  const gaps = await ask<{ job_id: number }>(evidence.client, "select distinct job_id from audit.gaps where job_id is not null");
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

/** A month has a million steps: so many jobs' at a time. */
const jobsAtOnce = 2_000;

async function judgeSteps({ evidence, rows, truth }: CheckContext): Promise<Violation[]> {
  const nowMs = evidence.simulator.clock.nowMs();
  const wrong: string[] = [];
  const known = [...truth.values()].filter(({ job, ends }) => ends !== undefined && rows.byJob.has(job.id));
  for (let at = 0; at < known.length; at += jobsAtOnce) {
    const some = known.slice(at, at + jobsAtOnce);
    const found = await ask<StepRow>(
      evidence.client,
      `select job_id, step_number, step_name, conclusion, started_at, completed_at, first_line, line_count
      from audit.steps where job_id = any($1::bigint[]) order by job_id, step_number`,
      [some.map(({ job }) => job.id)],
    );
    const steps = Map.groupBy(found, ({ job_id }) => job_id);
    for (const { job } of some) {
      const [row] = rows.byJob.get(job.id) ?? [];
      if (row !== undefined) wrong.push(...judgeStepsOf(job, { row, steps: steps.get(job.id) ?? [], nowMs }));
    }
  }
  return violationsOf("I1", wrong);
}

type Found = { readonly row: JobRow; readonly steps: readonly StepRow[]; readonly nowMs: number };

function judgeStepsOf(job: Job, { row, steps, nowMs }: Found): string[] {
  const served = ServedJob.parse(renderJob(job, nowMs, { api: "", web: "" }));
  const wanted = served.steps?.map(({ number, name, conclusion, started_at, completed_at }) =>
    [number, name ?? null, conclusion ?? null, started_at, completed_at]); // prettier-ignore
  const found = steps.map(({ step_number, step_name, conclusion, started_at, completed_at }) =>
    [step_number, step_name, conclusion, started_at?.getTime() ?? null, completed_at?.getTime() ?? null]); // prettier-ignore
  // How the last steps of a run ended that is deleted, GitHub may have shown nobody: its webhooks come before.
  const shown = job.run.deleted
    ? wanted?.map((step, index) => (found[index]?.[4] === null ? [step[0], step[1], null, step[3], null] : step))
    : wanted;
  const compare = (what: string, is: unknown, must: unknown) =>
    JSON.stringify(is) === JSON.stringify(must)
      ? []
      : [`${what} of job ${job.id}: expected ${JSON.stringify(must)}, found ${JSON.stringify(is)}`];
  const wrong = [...compare("conclusion", row.conclusion, served.conclusion ?? null), ...compare("steps", found, shown ?? [])];
  // GitHub lists no steps of some jobs; of others, every line of a generated log has a step that the simulator knows.
  if (job.log.kind !== "generated" || row.log_state !== "archived" || steps.length === 0) return wrong;
  const spoken = steps.flatMap(({ step_number, first_line, line_count }) =>
    first_line === null || line_count === null ? [] : [{ step_number, first_line, line_count }],
  );
  const known = generatedStepLines(job);
  // Whose a line is may stay open where two placings fit; it is never another step's.
  const strayed = spoken.filter((lines) => !known.some((step) => isWithin(lines, step)));
  return [...wrong, ...compare("lines of other steps", strayed, [])];
}

function isWithin(lines: StepLines, step: StepLines): boolean {
  const end = ({ first_line, line_count }: StepLines) => first_line + line_count;
  return lines.step_number === step.step_number && lines.first_line >= step.first_line && end(lines) <= end(step);
}
