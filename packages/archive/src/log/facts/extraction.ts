// Extracts all facts that a record derives from the log's bytes and the job object.

import { type LogFlag } from "@actions-archive/core/states";

import type { ArchivedLog } from "../../record/record.ts";
import { type LogTotals } from "../log-format.ts";
import type { JobStep } from "../steps/step-cost.ts";
import { type LogFacts, logFacts } from "./log-facts.ts";
import { flagsOf } from "./log-flags.ts";

/**
 * The version of the extraction. Increase it by 1 when a change gives other facts for the same log and job object: the loader then reads
 * every archived log again, once. A record without a version counts as 0.
 */
export const extractionVersion = 1;

/** The part of a job object that the extraction uses. */
export type JobOfLog = { readonly steps: readonly JobStep[]; readonly completedAt: Date | undefined };

export type Extraction = {
  /** For the record's `log`. */
  readonly text: Pick<ArchivedLog, "lines" | "first_time" | "last_time" | "oddities">;
  /** The flags of `textFlags` that apply. */
  readonly flags: readonly LogFlag[];
  /** For the record itself. */
  readonly facts: LogFacts & { readonly extraction_version: number };
};

/** Flags that depend on the text and the job object; the others describe how the log was stored. */
const textFlags: ReadonlySet<LogFlag> = new Set(["no_timestamps", "no_end_marker", "outside_job_window"]);

/** Extracts the facts of one log. Pure. */
export function extractLog(
  totals: Pick<LogTotals, "text" | "lines" | "rawBytes" | "firstTime" | "lastTime" | "oddities" | "tail">,
  { steps, completedAt }: JobOfLog,
): Extraction {
  const { bom, crlf, nul, linesWithoutTime } = totals.oddities;
  return {
    text: {
      lines: totals.lines,
      first_time: totals.firstTime ?? null,
      last_time: totals.lastTime ?? null,
      oddities: { bom, crlf, nul, lines_without_time: linesWithoutTime },
    },
    flags: flagsOf(totals, completedAt),
    facts: { ...logFacts(totals, steps), extraction_version: extractionVersion },
  };
}

/** Replaces the text flags of a log that is read again, and keeps the others. Sorted. */
export function replaceTextFlags(known: readonly LogFlag[], { flags }: Pick<Extraction, "flags">): LogFlag[] {
  return [...known.filter((flag) => !textFlags.has(flag)), ...flags].toSorted();
}
