// One step of an archived log: its place from the job's record, its bytes with one ranged read of the frames that hold them.

import { readLogRange, readSeekTable } from "@actions-archive/archive/read-log";
import type { LogRecord, Section } from "@actions-archive/archive/record";
import { readLogRecord } from "@actions-archive/archive/records";
import type { ByteRange, Store } from "@actions-archive/archive/store";
import { PermanentError } from "@actions-archive/core/errors";
import type { LogStep } from "@actions-archive/database/logs";

import type { FoundLog } from "./find-log.ts";

export type StepOfJob = { readonly jobId: number; readonly stepNumber: number; readonly steps: readonly LogStep[] };

export type StepPlace = {
  readonly step_number: number;
  /** In order; one, unless other lines stand between the step's. */
  readonly sections: readonly Section[];
};

/**
 * The sections of a step, by the record of its job.
 * @throws PermanentError `usage/invalid` that names the steps that can be had; `store/corrupt`.
 */
export async function findStep(store: Store, log: FoundLog, { jobId, stepNumber, steps }: StepOfJob): Promise<StepPlace> {
  const step = steps.find(({ step_number }) => step_number === stepNumber);
  const name = `Step ${stepNumber}${step?.step_name == null ? "" : ` (${step.step_name})`} of job ${jobId}`;
  const record = await readLogRecord(store, log.record_key, jobId);
  if (record.sections === undefined)
    throw refused(`The record of job ${jobId} does not say where its steps are. The whole log: actions-archive logs ${jobId}`);
  const sections = record.sections.filter(({ step_number, line_count }) => step_number === stepNumber && line_count > 0);
  if (sections.length > 0) return { step_number: stepNumber, sections };
  throw refused(`${name} ${whyWithout(step, record, steps)}\n${listSteps(steps, record.sections)}`);
}

/** The step's bytes. Two ranged reads, one for the seek table, or a single one where the frames came with it. */
export async function* readStep(store: Store, log: FoundLog, { sections }: StepPlace): AsyncIterable<Buffer> {
  const options = {
    sizeBytes: log.stored_bytes ?? undefined,
    rawBytes: log.raw_bytes ?? undefined,
    versionId: log.log_version_id ?? undefined,
  };
  const table = await readSeekTable(store, log.log_key, options);
  for (const range of joinRanges(sections)) yield* readLogRange(store, log.log_key, range, { ...options, table });
}

function joinRanges(sections: readonly Section[]): ByteRange[] {
  const ranges: { start: number; end: number }[] = [];
  for (const { raw_start: start, raw_bytes } of sections.toSorted((a, b) => a.raw_start - b.raw_start)) {
    const last = ranges.at(-1);
    if (last?.end === start) last.end = start + raw_bytes;
    else ranges.push({ start, end: start + raw_bytes });
  }
  return ranges;
}

function whyWithout(step: LogStep | undefined, { left_out }: LogRecord, steps: readonly LogStep[]): string {
  if (step === undefined && steps.length > 0) return "is not known.";
  if (step?.conclusion === "skipped") return "was skipped: it has no lines.";
  if ((left_out?.sections ?? 0) > 0)
    return `is not among the sections that its record holds; ${left_out?.sections} were left out.`;
  return "has no lines that could be attributed to it: it printed none, or where they begin could not be told.";
}

function listSteps(steps: readonly LogStep[], sections: readonly Section[]): string {
  const lines = Map.groupBy(sections, ({ step_number }) => step_number);
  const listed = steps.map(({ step_number, step_name, conclusion }) => {
    const count = lines.get(step_number)?.reduce((sum, { line_count }) => sum + line_count, 0) ?? 0;
    const size = count === 0 ? (conclusion === "skipped" ? "skipped" : "no lines") : `${count} ${count === 1 ? "line" : "lines"}`;
    return `  ${step_number}  ${step_name ?? ""} (${size})`;
  });
  return listed.length === 0 ? "GitHub listed no steps of this job." : `Its steps are:\n${listed.join("\n")}`;
}

function refused(message: string): PermanentError {
  return new PermanentError("usage/invalid", message);
}
