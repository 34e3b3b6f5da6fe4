// A report's answer as a table, as CSV, or as one JSON document. Each tells what could not be read.

import type { Report } from "@actions-archive/database/reports";
import { stringify } from "csv-stringify/sync";

import { type CommandContext, print, printJson } from "../command-context.ts";
import { formatTable, formatTime } from "../format-table.ts";
import { makeSafe, showControls } from "../terminal-safe.ts";

export type Answer = {
  readonly report: Report;
  /** What was bound for each parameter. */
  readonly values: Readonly<Record<string, string>>;
  readonly rows: readonly Readonly<Record<string, unknown>>[];
  /** Whether the limit cut the rows. */
  readonly truncated: boolean;
  readonly unread: Readonly<Record<string, number>> | undefined;
};

export function printTable(context: CommandContext, answer: Answer): void {
  print(context, `${formatTable(answer.rows)}\n${notes(answer).join("\n")}`);
}

/**
 * RFC 4180 on stdout, notes on stderr. A text that a spreadsheet would take for a formula gets an apostrophe before it: whoever
 * names a branch or a job could otherwise run one on the auditor's machine (https://owasp.org/www-community/attacks/CSV_Injection).
 */
export function printCsv({ stdout, stderr }: CommandContext, answer: Answer): void {
  // A file gets what was named, byte for byte. A terminal would obey it: a colour in a cell can hide all that comes after.
  const { isTTY } = stdout;
  const text = stringify([...answer.rows], {
    header: true,
    columns: answer.report.columns.map(({ name }) => name),
    record_delimiter: isTTY ? "unix" : "windows",
    escape_formulas: true,
    cast: {
      date: formatTime,
      boolean: String,
      string: (cell) => (isTTY ? showControls(cell) : cell),
      object: (cell) => (isTTY ? showControls(JSON.stringify(cell)) : JSON.stringify(cell)),
    },
  });
  stdout.write(text);
  stderr.write(makeSafe(`${notes(answer).join("\n")}\n`));
}

export function printDocument(context: CommandContext, { report, values, rows, truncated, unread }: Answer): void {
  printJson(context, { report: report.name, parameters: values, rows, truncated, ...(unread && { unread }) });
}

function notes({ values, rows, truncated, unread }: Answer): string[] {
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
    causes.length === 0 ? "All logs of this span were read." : `Not read, so that rows may be missing: ${causes.join(", ")}.`,
  ];
}
