// What the reports cost on a large archive, as the auditor: for a month of one repository, and for a year of all. 20 warm runs each.
// npx pnpm exec node bench/reports.ts --database postgres://…/filled_by_scale [--runs 20] [--plans 3]

import { parseArgs } from "node:util";

import { openDatabase } from "@actions-archive/database/open-database";
import { listReports, type Report, runReport } from "@actions-archive/database/reports";

import { type Figure, report } from "./support/report.ts";
import { timed } from "./support/timing.ts";

const { values: options } = parseArgs({
  options: {
    database: { type: "string", default: "" },
    runs: { type: "string", default: "20" },
    plans: { type: "string", default: "3" },
  },
});
await using database = await openDatabase({ url: options.database, applicationName: "bench" });
const { pool } = database;
const { rows: newest } = await pool.query<{ job_id: string }>("select max(job_id)::text as job_id from archive.jobs");
const given = { action: "actions/action-0", job_id: newest[0]?.job_id ?? "" };
const choices = [
  {
    of: "a repository's month",
    values: { ...given, since: "2026-10-01", until: "2026-11-01", repository: "org-5/service-5" },
    aimMs: 200,
  },
  { of: "the archive's year", values: { ...given, since: "2025-11-01", until: "2026-11-01" }, aimMs: 1000 },
];

type Turn = { readonly asked: Report; readonly choice: (typeof choices)[number]; readonly p50: number; readonly p95: number };
const turns: Turn[] = [];
const failures: string[] = [];
for (const asked of listReports()) {
  for (const choice of choices) {
    try {
      const { p50, p95 } = await timed(() => runReport(pool, asked, choice.values), Number(options.runs));
      turns.push({ asked, choice, p50, p95 });
    } catch (error) {
      failures.push(`${asked.name}, ${choice.of}: ${String(error)}`);
    }
  }
}
report(
  turns.flatMap(({ asked, choice, p50, p95 }): Figure[] => [
    { what: `${asked.name}, ${choice.of}: p50 ms`, measured: p50 },
    { what: `${asked.name}, ${choice.of}: p95 ms`, measured: p95, limit: { kind: "aim", atMost: choice.aimMs } },
  ]),
);
for (const failure of failures) process.stdout.write(`${failure}\n`);
for (const { asked, choice } of turns
  .toSorted((a, b) => b.p95 / b.choice.aimMs - a.p95 / a.choice.aimMs)
  .slice(0, Number(options.plans)))
  process.stdout.write(`\n${asked.name}, ${choice.of}\n${await explain(asked, choice.values)}\n`);

/** The plan that the auditor gets. */
async function explain({ parameters, rows }: Report, values: Readonly<Record<string, string>>): Promise<string> {
  const client = await pool.connect();
  try {
    await client.query("begin; set local role actions_archive_auditor; set local search_path to audit");
    const bound = parameters.map(({ name, fallback }) => values[name] ?? fallback ?? "");
    const { rows: plan } = await client.query<{ "QUERY PLAN": string }>(`explain (analyze, buffers, costs off) ${rows}`, [bound]);
    return plan.map((row) => row["QUERY PLAN"]).join("\n");
  } finally {
    client.release(true);
  }
}
