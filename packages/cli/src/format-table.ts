// Tables for terminals: numbers to the right, times in UTC, nothing that a terminal would obey.

import Table from "cli-table3";

import { showControls } from "./terminal-safe.ts";

const longestCell = 100;

/** @param rows of one shape; the keys of the first are the heads. */
export function formatTable(rows: readonly Readonly<Record<string, unknown>>[]): string {
  const [first] = rows;
  if (first === undefined) return "(no rows)";
  const heads = Object.keys(first);
  const isNumeric = (head: string) => rows.every((row) => row[head] === null || typeof row[head] === "number");
  const table = new Table({
    head: heads.map(showControls),
    colAligns: heads.map((head) => (isNumeric(head) ? "right" : "left")),
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
  table.push(...rows.map((row) => heads.map((head) => formatCell(row[head]))));
  return table.toString();
}

function formatCell(value: unknown): string {
  if (value === null || value === undefined) return "";
  if (value instanceof Date) return value.toISOString().replace(".000Z", "Z");
  const text = showControls(typeof value === "string" ? value : JSON.stringify(value));
  return text.length > longestCell ? `${text.slice(0, longestCell - 1)}…` : text;
}
