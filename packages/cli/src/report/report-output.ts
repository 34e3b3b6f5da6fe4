// Prints a report as a table, as CSV or as one JSON document, each with what could not be read.

import type { Answer } from "@actions-archive/database/audit/auditor";
import type { Report } from "@actions-archive/database/audit/reports";

import { type CommandContext, print, printJson } from "../command-context.ts";
import { formatAnswer } from "../format-table.ts";
import { printCsv } from "../print-csv.ts";
import { makeSafe } from "../terminal-safe.ts";

export type ReportAnswer = Answer & {
  readonly report: Report;
  /** The bound value of each parameter. */
  readonly values: Readonly<Record<string, string>>;
  /** Whether the limit left rows out. */
  readonly truncated: boolean;
  readonly unread: Readonly<Record<string, number>> | undefined;
};

export function printTable(context: CommandContext, answer: ReportAnswer): void {
  print(context, `${formatAnswer(answer)}\n${notes(answer).join("\n")}`);
}

/** Prints RFC 4180 on stdout, with a head even without rows; remarks on stderr. */
export function printReportCsv(context: CommandContext, answer: ReportAnswer): void {
  printCsv(context, { ...answer, columns: answer.report.columns.map(({ name }) => name) });
  context.stderr.write(makeSafe(`${notes(answer).join("\n")}\n`));
}

export function printDocument(context: CommandContext, { report, values, rows, truncated, unread }: ReportAnswer): void {
  printJson(context, { report: report.name, parameters: values, rows, truncated, ...(unread && { unread }) });
}

function notes({ values, rows, truncated, unread }: ReportAnswer): string[] {
  const count = `${rows.length} ${rows.length === 1 ? "row" : "rows"}`;
  const more = truncated ? ", and there are more: --limit shows them" : "";
  const span = [
    ...(values["since"] === undefined ? [] : [`since ${values["since"].replace(".000Z", "Z")}`]),
    ...(values["until"] === undefined ? [] : [`until ${values["until"].replace(".000Z", "Z")}`]),
  ];
  const summary = `(${[`${count}${more}`, ...span].join(", ")})`;
  if (unread === undefined) return [summary];
  const causes = Object.entries(unread).map(([cause, times]) => `${times} × ${cause}`);
  return [
    summary,
    causes.length === 0 ? "All logs of this span were read." : `Not read, so rows may be missing: ${causes.join(", ")}.`,
  ];
}
