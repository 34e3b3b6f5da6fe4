// Prints rows as CSV: psql's output of each value, quoted as in RFC 4180.

import type { Answer } from "@actions-archive/database/audit/auditor";
import { stringify } from "csv-stringify/sync";

import type { CommandContext } from "./command-context.ts";
import { showControls } from "./terminal-safe.ts";

// Postgres's output of negative numbers, infinities and intervals: no formulas, so never changed.
const negativeValue =
  /^-(\d+(\.\d+)?(e[+-]\d+)?|[iI]nfinity|\d+ (year|mon|day)s?( -?\d+ (mon|day)s?)*( -?\d+:\d\d:\d\d(\.\d+)?)?|\d+:\d\d:\d\d(\.\d+)?)$/;
/** Beginnings that a spreadsheet reads as a formula. */
const formula = /^[=+\-@\t\r\uFF1D\uFF0B\uFF0D\uFF20]/;

/**
 * Prints rows as RFC 4180. Numbers, times and intervals are unchanged. A text that a spreadsheet would read as a formula gets an
 * apostrophe before it: otherwise whoever names a branch or a job could run a formula on the auditor's machine
 * (https://owasp.org/www-community/attacks/CSV_Injection).
 * @param answer its `columns` are the head; each row has a text for each column.
 */
export function printCsv(
  { stdout }: Pick<CommandContext, "stdout">,
  { columns, texts }: Pick<Answer, "columns" | "texts">,
): void {
  // A file gets the exact bytes. On a terminal, control characters are shown: a colour in one cell could hide the rest.
  const { isTTY } = stdout;
  const lines = texts.map((row) =>
    row.map((text) => {
      if (text === null) return text;
      const shown = isTTY ? showControls(text) : text;
      return formula.test(shown) && !negativeValue.test(shown) ? `'${shown}` : shown;
    }),
  );
  const head = columns.map((name) => (isTTY ? showControls(name) : name));
  stdout.write(stringify([head, ...lines], { record_delimiter: isTTY ? "unix" : "windows" }));
}
