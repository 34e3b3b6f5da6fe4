// The time of each report on a large archive, as the auditor, in one session like psql's: for a month of one repository, and for a month
// and a year of all repositories. 20 warm runs each; fewer, but at least three, where they would take more than 12 seconds.
// npx pnpm exec node bench/reports.ts --database postgres://…/filled_by_scale [--runs 20] [--plans 3]

import { parseArgs } from "node:util";

import { listReports, type Report } from "@actions-archive/database/audit/reports";
import pg from "pg";

import { type Figure, report } from "./support/report.ts";

const { values: options } = parseArgs({
  options: {
    database: { type: "string", default: "" },
    runs: { type: "string", default: "20" },
    plans: { type: "string", default: "3" },
  },
});
const maxMs = 12_000;
const client = new pg.Client({ connectionString: options.database });
await client.connect();

const { rows: newest } = await client.query<{ job_id: string }>("select max(job_id)::text as job_id from archive.jobs");
const given = { action: "actions/action-0", job_id: newest[0]?.job_id ?? "" };
const month = { since: "2026-10-01", until: "2026-11-01" };
const choices = [
  { of: "a repository's month", values: { ...given, ...month, repository: "org-5/service-5" }, aimMs: 200 },
  { of: "the archive's month", values: { ...given, ...month }, aimMs: 1000 },
  { of: "the archive's year", values: { ...given, since: "2025-11-01", until: "2026-11-01" }, aimMs: 1000 },
];
type Choice = (typeof choices)[number];
type Turn = { readonly asked: Report; readonly choice: Choice; readonly p50: number; readonly p95: number };

/** Runs all statements of a report, like `runReport`. @returns milliseconds */
async function run(asked: Report, choice: Choice): Promise<number> {
  const began = performance.now();
  for (const statement of statementsOf(asked))
    await client.query("select answer from archive.answer_as_auditor($1, $2) as answer", [statement, valuesOf(asked, choice)]);
  return performance.now() - began;
}

function statementsOf({ rows, unread }: Report): string[] {
  return unread === undefined ? [rows] : [rows, unread];
}

function valuesOf({ parameters }: Report, { values }: Choice): string[] {
  const named: Readonly<Record<string, string>> = values;
  return parameters.map(({ name, fallback }) => named[name] ?? fallback ?? "");
}

async function measure(asked: Report, choice: Choice): Promise<Turn> {
  const first = await run(asked, choice);
  const runs = Math.max(3, Math.min(Number(options.runs), Math.floor(maxMs / first)));
  const times: number[] = [];
  for (let count = 0; count < runs; count++) times.push(await run(asked, choice));
  times.sort((a, b) => a - b);
  const at = (share: number) => times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0;
  const turn = { asked, choice, p50: at(0.5), p95: at(0.95) };
  const cells = [first, turn.p50, turn.p95].map((ms) => ms.toFixed(0).padStart(6));
  process.stdout.write(
    `${asked.name.padEnd(13)} ${choice.of.padEnd(21)} first, p50, p95 ms: ${cells.join(" ")} (${runs} runs)\n`,
  );
  return turn;
}

/** @returns the plan for the auditor. */
async function explain(asked: Report, choice: Choice): Promise<string> {
  const statement = `explain (analyze, buffers, costs off) ${asked.rows}`;
  const { rows } = await client.query<{ answer: { "QUERY PLAN": string } }>(
    "select answer from archive.answer_as_auditor($1, $2) as answer",
    [statement, valuesOf(asked, choice)],
  );
  return rows.map(({ answer }) => answer["QUERY PLAN"]).join("\n");
}

const turns: Turn[] = [];
for (const asked of listReports()) for (const choice of choices) turns.push(await measure(asked, choice));
report(
  turns.map(({ asked, choice, p95 }): Figure => ({
    what: `${asked.name}, ${choice.of}: p95 ms`,
    measured: p95,
    limit: { kind: "aim", atMost: choice.aimMs },
  })),
);
const slowest = turns.toSorted((a, b) => b.p95 / b.choice.aimMs - a.p95 / a.choice.aimMs).slice(0, Number(options.plans));
for (const { asked, choice } of slowest) process.stdout.write(`\n${asked.name}, ${choice.of}\n${await explain(asked, choice)}\n`);
await client.end();
