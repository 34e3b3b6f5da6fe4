// Runs the reports of reports/*.sql.

import { readdirSync, readFileSync } from "node:fs";

import type pg from "pg";

import { type Answer, answerAsAuditor, queryAsAuditor } from "./auditor.ts";
import { parseReport, type ReportFile } from "./report-file.ts";

export type Report = ReportFile & { readonly name: string };

const folder = new URL("../../reports/", import.meta.url);

/** All reports, by name. Reads their files synchronously: some 1 ms for a dozen. */
export function listReports(): Report[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith(".sql"))
    .toSorted()
    .map((file) => ({ name: file.slice(0, -".sql".length), ...parseReport(readFileSync(new URL(file, folder), "utf8")) }));
}

export type ReportAnswer = Answer & {
  /** Number of logs (or spans, or runs) that could not be read, by cause; undefined if the report does not count them. */
  readonly unread: Readonly<Record<string, number>> | undefined;
};

/**
 * Runs a report as the auditor.
 * @param values by parameter name; others have the file's defaults.
 * @throws PermanentError `usage/invalid` if Postgres refuses a value, or one is missing.
 */
export async function runReport(
  pool: pg.Pool,
  { parameters, rows, unread }: ReportFile,
  values: Readonly<Record<string, string>>,
): Promise<ReportAnswer> {
  const bound = parameters.map(({ name, fallback }) => values[name] ?? fallback ?? "");
  const answer = await answerAsAuditor(pool, rows, bound);
  if (unread === undefined) return { ...answer, unread };
  const counts = await queryAsAuditor(pool, unread, bound);
  return { ...answer, unread: Object.fromEntries(counts.map((row) => [String(row["unread"]), Number(row["count"])])) };
}
