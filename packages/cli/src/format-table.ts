// Formats tables for terminals: fitted to the width, numbers right-aligned, times in UTC, control characters shown.

import { isJsonNumber } from "@actions-archive/core/exact-json";
import type { Answer } from "@actions-archive/database/audit/auditor";
import Table from "cli-table3";
import stringWidth from "string-width";

import { showControls } from "./terminal-safe.ts";

type Row = Readonly<Record<string, unknown>>;

/** Stands for null, which differs from an empty text. */
const missing = "–";
/** The minimum width of a wrapped text. */
const minTextWidth = 10;

/** One value, safe for a terminal. */
type Cell = {
  readonly text: string;
  /** Also true for null. */
  readonly isNumeric: boolean;
  /** A number or a time, which is never broken. */
  readonly isFixed: boolean;
};

/**
 * Wraps text columns to fit the width, longest first; numbers (so ids) and times are never broken. When that is not enough,
 * each row becomes a block of lines. Without a terminal the width is unlimited, and nothing is broken.
 * @param rows of one shape; the keys of the first are the column heads.
 * @param width of the terminal in columns; undefined when there is none.
 */
export function formatTable(rows: readonly Row[], width: number | undefined = process.stdout.columns): string {
  const heads = Object.keys(rows[0] ?? {});
  const cells = rows.map((row) => heads.map((head) => toCell(row[head])));
  return layOut(heads, cells, width);
}

/** As `formatTable`, for the result of an auditor's query: each cell is what psql prints. */
export function formatAnswer({ columns, rows, texts }: Answer, width: number | undefined = process.stdout.columns): string {
  const cells = texts.map((row, at) =>
    row.map((text, index): Cell => {
      const isNumeric = text === null || isJsonNumber(rows[at]?.[columns[index] ?? ""]);
      return { text: text === null ? missing : showControls(text), isNumeric, isFixed: isNumeric || timePattern.test(text) };
    }),
  );
  return layOut(columns, cells, width);
}

// Postgres's output of dates, timestamps and their infinities in UTC.
const timePattern = /^(-?infinity|\d{4,}-\d\d-\d\d( \d\d:\d\d:\d\d(\.\d+)?(\+00)?)?( BC)?)$/;

function layOut(heads: readonly string[], rows: readonly (readonly Cell[])[], width: number | undefined): string {
  if (rows.length === 0) return "(no rows)";
  const cells = rows.map((row) => row.map(({ text }) => text));
  const natural = heads.map((head, index) =>
    Math.max(...[showControls(head), ...cells.map((row) => row[index] ?? "")].map(measure)),
  );
  const isFixed = heads.map((_, index) => rows.every((row) => row[index]?.isFixed));
  const widths = fitWidths(natural, isFixed, width === undefined ? Infinity : width - 3 * heads.length + 1);
  if (widths === undefined) return formatBlocks(heads, rows);
  const table = new Table({
    head: heads.map(showControls),
    colWidths: widths.map((columns) => columns + 2),
    colAligns: heads.map((_, index) => (rows.every((row) => row[index]?.isNumeric) ? "right" : "left")),
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
  table.push(...cells.map((row) => row.map((text, index) => breakLines(text, widths[index] ?? Infinity))));
  return table.toString();
}

/** Undefined when the text columns cannot be shortened enough. */
function fitWidths(natural: readonly number[], isFixed: readonly boolean[], room: number): number[] | undefined {
  const widthsUnder = (limit: number) => natural.map((width, index) => (isFixed[index] ? width : Math.min(width, limit)));
  const sum = (widths: readonly number[]) => widths.reduce((total, width) => total + width, 0);
  for (let limit = Math.max(minTextWidth, ...natural); limit >= minTextWidth; limit -= 1) {
    const widths = widthsUnder(limit);
    if (sum(widths) <= room) return widths;
  }
  return undefined;
}

function formatBlocks(heads: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const names = heads.map(showControls);
  const headWidth = Math.max(...names.map(measure));
  return rows
    .map((row, at) =>
      [
        `── ${at + 1} ──`,
        ...names.map((name, index) => {
          const { text = "" } = row[index] ?? {};
          return `${name}${" ".repeat(headWidth - measure(name))} │ ${text}`.trimEnd();
        }),
      ].join("\n"),
    )
    .join("\n");
}

const measure = (text: string) => stringWidth(text);

function toCell(value: unknown): Cell {
  if (value === null || value === undefined) return { text: missing, isNumeric: true, isFixed: true };
  if (value instanceof Date) return { text: formatTime(value), isNumeric: false, isFixed: true };
  const isNumber = typeof value === "number";
  return {
    text: showControls(typeof value === "string" ? value : JSON.stringify(value)),
    isNumeric: isNumber,
    isFixed: isNumber,
  };
}

/** Breaks at spaces, and inside a word only where it is wider than the column. */
function breakLines(text: string, width: number): string {
  if (measure(text) <= width) return text;
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    const longer = lines.length === 0 && line === "" ? word : `${line} ${word}`;
    if (measure(longer) <= width) {
      line = longer;
      continue;
    }
    if (line !== "") lines.push(line);
    line = "";
    for (const { segment } of graphemes.segment(word)) {
      if (line !== "" && measure(line + segment) > width) {
        lines.push(line);
        line = "";
      }
      line += segment;
    }
  }
  return [...lines, line].join("\n");
}

const graphemes = new Intl.Segmenter("en", { granularity: "grapheme" });

/** ISO 8601 in UTC, without a zero fraction of a second. */
export function formatTime(time: Date): string {
  return time.toISOString().replace(".000Z", "Z");
}
