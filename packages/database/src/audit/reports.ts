// The reports: reports/*.sql, each the answer to a question of an audit.

import { readdirSync, readFileSync } from "node:fs";

import type pg from "pg";

import { type Answer, answerAsAuditor, queryAsAuditor } from "./auditor.ts";
import { parseReport, type ReportFile } from "./report-file.ts";

export type Report = ReportFile & { readonly name: string };

const folder = new URL("../../reports/", import.meta.url);

/** All reports, by name. Reads their files at once: some 1 ms for a dozen. */
export function listReports(): Report[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith(".sql"))
    .toSorted()
    .map((file) => ({ name: file.slice(0, -".sql".length), ...parseReport(readFileSync(new URL(file, folder), "utf8")) }));
}

export type ReportAnswer = Answer & {
  /** How many logs (or spans, or runs) could not be read, for each cause; undefined where the report does not ask. */
  readonly unread: Readonly<Record<string, number>> | undefined;
};

/**
 * Runs a report as the auditor.
 * @param values by the names of its parameters; the others are what the file says.
 * @throws PermanentError `usage/invalid` when Postgres refuses a value, or one is missing.
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
