// Reads one step of an archived log: its location from the job's rows, its bytes with one ranged read.

import { readLogRange, readSeekTable } from "@actions-archive/archive/log/read-log";
import type { Section } from "@actions-archive/archive/record/record";
import { readLogRecord } from "@actions-archive/archive/record/records";
import type { Store } from "@actions-archive/archive/store/store";
import { PermanentError } from "@actions-archive/core/errors";
import { findSection, listSteps, type LogStep, type StepSection } from "@actions-archive/database/audit/logs";
import type { Database } from "@actions-archive/database/connection/open-database";

import type { FoundLog } from "./find-log.ts";

export type StepChoice = { readonly jobId: number; readonly stepNumber: number };

/**
 * Finds the lines of a step.
 * @throws PermanentError `usage/invalid` that explains why the step has none and lists the steps that have; `store/corrupt`.
 */
export async function findStep(
  { db, store }: { readonly db: Database; readonly store: Store },
  log: FoundLog,
  { jobId, stepNumber }: StepChoice,
): Promise<StepSection> {
  const section = await findSection(db, jobId, stepNumber);
  if (section !== undefined) return section;
  const steps = await listSteps(db, jobId);
  const step = steps.find(({ step_number }) => step_number === stepNumber);
  const name = `Step ${stepNumber}${step?.step_name == null ? "" : ` (${step.step_name})`} of job ${jobId}`;
  const { sections } = await readLogRecord(store, log.record_key, jobId);
  if (sections === undefined)
    throw refused(`The record of job ${jobId} has no positions of its steps. The complete log: actions-archive logs ${jobId}`);
  throw refused(`${name} ${reasonWithoutLines(step, steps)}\n${listLines(steps, sections)}`);
}

/** Reads the step's bytes with two ranged reads, one of them for the seek table, or with one where the frames came with it. */
export async function* readStep(store: Store, log: FoundLog, { raw_start, raw_bytes }: StepSection): AsyncIterable<Buffer> {
  const options = {
    sizeBytes: log.stored_bytes ?? undefined,
    rawBytes: log.raw_bytes ?? undefined,
    versionId: log.log_version_id ?? undefined,
  };
  const table = await readSeekTable(store, log.log_key, options);
  yield* readLogRange(store, log.log_key, { start: raw_start, end: raw_start + raw_bytes }, { ...options, table });
}

function reasonWithoutLines(step: LogStep | undefined, steps: readonly LogStep[]): string {
  if (step === undefined && steps.length > 0) return "is not known.";
  if (step?.conclusion === "skipped") return "was skipped: it has no lines.";
  return "has no lines that could be attributed to it: it printed none, or their start could not be determined.";
}

function listLines(steps: readonly LogStep[], sections: readonly Section[]): string {
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
