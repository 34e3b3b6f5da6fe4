// What a record says of a log's text, and of its fit to the job: everything that is derived from the log's bytes and the job object.

import { type LogFlag } from "@actions-archive/core/states";

import type { ArchivedLog } from "../../record/record.ts";
import { type LogTotals } from "../log-format.ts";
import type { JobStep } from "../steps/step-cost.ts";
import { type LogFacts, logFacts } from "./log-facts.ts";
import { flagsOf } from "./log-flags.ts";

/**
 * The version of the code that derives facts from a log. Raise it by 1 whenever a change makes the same log and the same job object give
 * other facts: the loader then reads every archived log again, once. A record without a version counts as 0.
 */
export const extractionVersion = 1;

/** What the extraction needs of a job object. */
export type JobOfLog = { readonly steps: readonly JobStep[]; readonly completedAt: Date | undefined };

export type Extraction = {
  /** For `log` of the record. */
  readonly text: Pick<ArchivedLog, "lines" | "first_time" | "last_time" | "oddities">;
  /** Those of `textFlags` that apply. */
  readonly flags: readonly LogFlag[];
  /** For the record itself. */
  readonly facts: LogFacts & { readonly extraction_version: number };
};

/** Flags that follow from the text and the job object; the others say how the log was stored. */
const textFlags: ReadonlySet<LogFlag> = new Set(["no_timestamps", "no_end_marker", "outside_job_window"]);

/** Pure: the same totals and job give the same extraction. */
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

/** The flags of a log that is read again: those of its text are replaced, the others stay. Sorted. */
export function replaceTextFlags(known: readonly LogFlag[], { flags }: Pick<Extraction, "flags">): LogFlag[] {
  return [...known.filter((flag) => !textFlags.has(flag)), ...flags].toSorted();
}
