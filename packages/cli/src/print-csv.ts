// Rows as CSV: what psql prints for each value, quoted as RFC 4180 says.

import type { Answer } from "@actions-archive/database/audit/auditor";
import { stringify } from "csv-stringify/sync";

import type { CommandContext } from "./command-context.ts";
import { showControls } from "./terminal-safe.ts";

// What Postgres prints for negative numbers, infinities and intervals: no formula, and never to be changed.
const negativeValue =
  /^-(\d+(\.\d+)?(e[+-]\d+)?|[iI]nfinity|\d+ (year|mon|day)s?( -?\d+ (mon|day)s?)*( -?\d+:\d\d:\d\d(\.\d+)?)?|\d+:\d\d:\d\d(\.\d+)?)$/;
/** How a text begins that a spreadsheet would take for a formula. */
const formula = /^[=+\-@\t\r\uFF1D\uFF0B\uFF0D\uFF20]/;

/**
 * Numbers, times and intervals are printed as they are. A text that a spreadsheet would take for a formula gets an apostrophe before it:
 * whoever names a branch or a job could otherwise run one on the auditor's machine
 * (https://owasp.org/www-community/attacks/CSV_Injection).
 * @param answer its `columns` are the head, as they stand; each row has a text for each of them.
 */
export function printCsv(
  { stdout }: Pick<CommandContext, "stdout">,
  { columns, texts }: Pick<Answer, "columns" | "texts">,
): void {
  // A file gets what was named, byte for byte. A terminal would obey it: a colour in a cell can hide all that comes after.
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
