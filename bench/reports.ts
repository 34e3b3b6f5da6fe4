// How long each report takes on the database of DATABASE_URL, for the last 30 days: of one repository, and of the whole archive.
// The second run of each counts.

import { openDatabase } from "@actions-archive/database/open-database";
import { listReports, runReport } from "@actions-archive/database/reports";

const { DATABASE_URL: url = "postgres://postgres@127.0.0.1:5432/postgres" } = process.env;
await using database = await openDatabase({ url, applicationName: "bench", maxConnections: 1 });
const { rows: repositories } = await database.pool.query<{ repository: string }>(
  "select full_name as repository from archive.repositories order by repository_id limit 1",
);
const { rows: jobs } = await database.pool.query<{ job_id: string }>("select max(job_id)::text as job_id from archive.jobs");
const repository = repositories[0]?.repository ?? "";
const variants: Readonly<Record<string, readonly Readonly<Record<string, string>>[]>> = {
  "action-uses": [{ action: "actions/checkout" }, { action: "tj-actions/changed-files@v45" }],
  evidence: [{ job_id: jobs[0]?.job_id ?? "" }],
  slowest: [{}, { by: "workflow" }, { by: "step" }],
  expiring: [{ within: "30" }],
};

for (const report of listReports()) {
  for (const variant of variants[report.name] ?? [{}]) {
    const times = [];
    for (const choice of [{ repository }, {}]) {
      await runReport(database.pool, report, { ...variant, ...choice });
      const start = performance.now();
      const { rows } = await runReport(database.pool, report, { ...variant, ...choice });
      times.push(`${(performance.now() - start).toFixed(0).padStart(6)} ms (${rows.length})`);
    }
    process.stdout.write(`${[report.name, ...Object.values(variant)].join(" ").padEnd(45)} ${times.join("   all: ")}\n`);
  }
}
