// Prints a search: matches on stdout, one per line, and on stderr what was read and what could not be. With --json everything is
// on stdout, one object per line.

import { escapeJson } from "@actions-archive/core/escape-json";
import type { SearchJob } from "@actions-archive/database/audit/search-jobs";

import type { CommandContext } from "../command-context.ts";
import { formatBytes } from "../demo/format-bytes.ts";
import { formatTable } from "../format-table.ts";
import { makeSafe, showControls } from "../terminal-safe.ts";
import type { SearchTotals, StepMatch, Unread } from "./search-archive.ts";

export type SearchOutput = {
  readonly onMatch: (job: SearchJob, match: StepMatch) => Promise<void>;
  readonly onUnread: (job: SearchJob, unread: Unread) => Promise<void>;
  readonly end: (totals: SearchTotals) => Promise<void>;
};

const maxListLength = 50;

export function openJsonOutput({ stdout }: CommandContext): SearchOutput {
  const write = (value: unknown) => writeLine(stdout, escapeJson(JSON.stringify(value)));
  return {
    onMatch: (job, match) => write({ kind: "match", ...jobFields(job), ...match }),
    onUnread: (job, unread) =>
      write({ kind: "unread", ...jobFields(job), log_state: job.log_state, log_reason: job.log_reason, ...unread }),
    end: ({ isCut, ...totals }) => write({ kind: "summary", ...totals, complete: !isCut && totals.unread === 0 }),
  };
}

export function openTextOutput({ stdout, stderr }: CommandContext): SearchOutput {
  const listed: { job: SearchJob; unread: Unread }[] = [];
  const counts = new Map<string, number>();
  return {
    onMatch: (job, match) => writeLine(stdout, formatMatch(job, match)),
    async onUnread(job, unread) {
      const cause = causeOf(job, unread);
      counts.set(cause, (counts.get(cause) ?? 0) + 1);
      if (listed.length < maxListLength) listed.push({ job, unread });
    },
    async end(totals) {
      stderr.write(makeSafe(`${[...formatUnread(listed, counts), formatTotals(totals)].join("\n")}\n`));
    },
  };
}

function formatMatch(job: SearchJob, { step_number, line_number, time, text, left_out: [before, after] }: StepMatch): string {
  const place = `${placeOf(job)} step ${step_number ?? "?"} line ${line_number}`;
  const shown = `${before > 0 ? "…" : ""}${text}${after > 0 ? "…" : ""}`;
  // A colour left on by the line must not affect the next one.
  const reset = shown.includes("\u001B") ? "\u001B[0m" : "";
  return `${place} ${time ?? "-"}: ${makeSafe(shown)}${reset}`;
}

function formatUnread(listed: readonly { job: SearchJob; unread: Unread }[], counts: ReadonlyMap<string, number>): string[] {
  if (listed.length === 0) return [];
  const total = counts.values().reduce((sum, count) => sum + count, 0);
  return [
    "",
    "Not read, so matches may be missing:",
    ...listed.map(({ job, unread: { problem, detail } }) => `  ${placeOf(job)}: ${problem}: ${showControls(detail)}`),
    ...(total > listed.length ? [`  … ${listed.length} of ${total}; --json lists all.`] : []),
    "",
    formatTable(Array.from(counts, ([cause, logs]) => ({ cause, logs }))),
    "",
  ];
}

function placeOf({ repository, run_id, job_id }: SearchJob): string {
  return `${showControls(repository ?? "?")} run ${run_id} job ${job_id}`;
}

function formatTotals({ logs, bytes, matches, unread, isCut }: SearchTotals): string {
  const found = matches === 0 ? "No match" : `${matches} ${matches === 1 ? "match" : "matches"}`;
  const read = `in ${logs} ${logs === 1 ? "log" : "logs"} (${formatBytes(bytes)})`;
  if (isCut) return `${found}: the search ended at --max-matches, there may be more.`;
  if (unread > 0) return `${found} ${read}; ${unread} could not be read. Why, and what to do: actions-archive gaps`;
  return `${found} ${read}: all that the choice holds. Whether every run was found: actions-archive gaps`;
}

function causeOf({ log_reason }: SearchJob, { problem }: Unread): string {
  const hasReason = problem === "log_absent" || problem === "log_failed";
  return hasReason && log_reason !== null ? `${problem}: ${log_reason}` : problem;
}

function jobFields({ repository, run_id, run_attempt, job_id, workflow_name, job_name }: SearchJob) {
  return { repository, run_id, run_attempt, job_id, workflow_name, job_name };
}

// Waits for the reader. A closed pipe (`… | head`) ends the search.
async function writeLine(stdout: NodeJS.WriteStream, line: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    if (stdout.errored) reject(stdout.errored);
    else if (stdout.write(`${line}\n`, (error) => error && reject(error))) resolve();
    else stdout.once("drain", resolve);
  });
}
