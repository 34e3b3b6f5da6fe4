// The time of the auditor's views on a large archive: by job, by run, by repository and month, and in full.
// npx pnpm exec node bench/views.ts --database postgres://…/filled_by_scale [--runs 20] [--plans 3]

import { parseArgs } from "node:util";

import { openDatabase } from "@actions-archive/database/connection/open-database";

import { report } from "./support/report.ts";
import { explain, type Statement, timeStatements } from "./support/timing.ts";

const { values: options } = parseArgs({
  options: {
    database: { type: "string", default: "" },
    runs: { type: "string", default: "20" },
    plans: { type: "string", default: "3" },
  },
});
await using database = await openDatabase({ url: options.database, applicationName: "bench" });
const { pool } = database;

// A repository of medium size, and one of its jobs in the middle of the year.
const { rows } = await pool.query<{ repository: string; job_id: number; run_id: number }>(`
  select repository, job_id, run_id from audit.jobs
  where repository = 'org-5/service-5' and completed_at >= '2026-05-10' and log_state = 'archived' order by completed_at limit 1`);
const job = rows[0];
if (job === undefined) throw new Error("the database is not one that bench/scale.ts filled");

const month = "completed_at >= '2026-05-01' and completed_at < '2026-06-01'";
const ofMonth = `job_id in (select job_id from audit.jobs where repository = $1 and ${month})`;
const statements: Statement[] = ["jobs", "steps", "action_uses", "annotations"].flatMap((view) => [
  { what: `${view} of a job`, text: `select * from audit.${view} where job_id = $1`, values: [job.job_id], aimMs: 20 },
  ...(view === "jobs"
    ? [
        { what: "jobs of a run", text: "select * from audit.jobs where run_id = $1", values: [job.run_id], aimMs: 20 },
        {
          what: "jobs of a repository's month",
          text: `select * from audit.jobs where repository = $1 and ${month}`,
          values: [job.repository],
          aimMs: 200,
        },
        { what: "jobs by conclusion, whole", text: "select conclusion, count(*) from audit.jobs group by 1", aimMs: 1000 },
        {
          what: "jobs by log state, whole",
          text: "select log_state, log_reason, count(*) from audit.jobs group by 1, 2",
          aimMs: 1000,
        },
      ]
    : [
        {
          what: `${view} of a repository's month`,
          text: `select * from audit.${view} where ${ofMonth}`,
          values: [job.repository],
          aimMs: 200,
        },
      ]),
]);
statements.push(
  {
    what: "coverage of a repository",
    text: "select * from audit.coverage where repository = $1",
    values: [job.repository],
    aimMs: 200,
  },
  {
    what: "coverage of a repository's month",
    text: "select * from audit.coverage where repository = $1 and window_start >= '2026-05-01' and window_start < '2026-06-01'",
    values: [job.repository],
    aimMs: 200,
  },
  {
    what: "coverage, whole",
    text: "select repository, sum(jobs_found), bool_and(complete) from audit.coverage group by 1",
    aimMs: 1000,
  },
  { what: "gaps by kind", text: "select kind, reason, count(*) from audit.gaps group by 1, 2", aimMs: 1000 },
);

const timings = await timeStatements(pool, statements, Number(options.runs));
report(
  timings.flatMap(({ what, p50, p95, aimMs }) => [
    { what: `${what}: p50 ms`, measured: p50 },
    {
      what: `${what}: p95 ms`,
      measured: p95,
      ...(aimMs === undefined ? {} : { limit: { kind: "aim" as const, atMost: aimMs } }),
    },
  ]),
);
for (const timing of timings.toSorted((a, b) => b.p95 - a.p95).slice(0, Number(options.plans)))
  process.stdout.write(`\n${timing.what}\n${await explain(pool, timing)}\n`);
