// Tables for terminals: as wide as the terminal, numbers to the right, times in UTC, nothing that a terminal would obey.

import Table from "cli-table3";
import stringWidth from "string-width";

import { showControls } from "./terminal-safe.ts";

type Row = Readonly<Record<string, unknown>>;

const longestCell = 100;
const longestValue = 1_000;
/** What is left of a text that gives way. */
const narrowest = 10;

/**
 * Text columns give way to the width, the longest first; numbers (so ids) and times are never cut. Where even that does not fit,
 * each row becomes a block of lines. Without a terminal nothing gives way, and a cell is cut after 100 characters.
 * @param rows of one shape; the keys of the first are the heads.
 * @param width of the terminal in columns; undefined when there is none.
 */
export function formatTable(rows: readonly Row[], width: number | undefined = process.stdout.columns): string {
  const [first] = rows;
  if (first === undefined) return "(no rows)";
  const heads = Object.keys(first);
  const cells = rows.map((row) => heads.map((head) => cut(formatCell(row[head]), longestCell)));
  const natural = heads.map((head, index) =>
    Math.max(...[showControls(head), ...cells.map((row) => row[index] ?? "")].map(measure)),
  );
  const isFixed = heads.map((head) => rows.every(({ [head]: value }) => !isText(value)));
  const widths = fitWidths(natural, isFixed, width === undefined ? Infinity : width - 3 * heads.length + 1);
  if (widths === undefined) return formatBlocks(rows, heads);
  const table = new Table({
    head: heads.map(showControls),
    colWidths: widths.map((columns) => columns + 2),
    colAligns: heads.map((head) => (rows.every(({ [head]: value }) => isNumeric(value)) ? "right" : "left")),
    style: { head: [], border: [], compact: true },
    chars: {
      top: "",
      "top-mid": "",
      "top-left": "",
      "top-right": "",
      bottom: "",
      "bottom-mid": "",
      "bottom-left": "",
      "bottom-right": "",
      left: "",
      "left-mid": "",
      mid: "─",
      "mid-mid": "┼",
      right: "",
      "right-mid": "",
      middle: "│",
    },
  });
  table.push(...cells);
  return table.toString();
}

/** Undefined when the columns that may give way are too few. */
function fitWidths(natural: readonly number[], isFixed: readonly boolean[], room: number): number[] | undefined {
  const widthsUnder = (limit: number) => natural.map((width, index) => (isFixed[index] ? width : Math.min(width, limit)));
  const sum = (widths: readonly number[]) => widths.reduce((total, width) => total + width, 0);
  for (let limit = Math.max(narrowest, ...natural); limit >= narrowest; limit -= 1) {
    const widths = widthsUnder(limit);
    if (sum(widths) <= room) return widths;
  }
  return undefined;
}

function formatBlocks(rows: readonly Row[], heads: readonly string[]): string {
  const headWidth = Math.max(...heads.map((head) => measure(showControls(head))));
  return rows
    .map((row, index) =>
      [
        `── ${index + 1} ──`,
        ...heads.map((head) =>
          `${showControls(head)}${" ".repeat(headWidth - measure(showControls(head)))} │ ${cut(formatCell(row[head]), longestValue)}`.trimEnd(),
        ),
      ].join("\n"),
    )
    .join("\n");
}

const measure = (text: string) => stringWidth(text);
const isNumeric = (value: unknown) => value === null || typeof value === "number";
const isText = (value: unknown) => !isNumeric(value) && value !== undefined && !(value instanceof Date);

function formatCell(value: unknown): string {
  if (value === null || value === undefined) return "";
  if (value instanceof Date) return formatTime(value);
  return showControls(typeof value === "string" ? value : JSON.stringify(value));
}

function cut(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length - 1).toWellFormed()}…` : text;
}

/** ISO 8601 in UTC, without a fraction of a second where there is none. */
export function formatTime(time: Date): string {
  return time.toISOString().replace(".000Z", "Z");
}
