// A small archive with known content, on which every report is run.

import { openTestDatabase, type TestDatabase } from "@actions-archive/testkit/test-database";

import { type ReportAnswer, listReports, runReport } from "../src/audit/reports.ts";
import { type Database, transact } from "../src/connection/open-database.ts";
import { markRowsLoaded, recordJobs } from "../src/ledger/log-jobs.ts";
import { failLog, recordTerminalStates } from "../src/ledger/log-states.ts";
import { recordRuns } from "../src/ledger/runs.ts";
import { addWindow } from "../src/ledger/windows.ts";
import { type LogFactsOfRecord, replaceLogFacts } from "../src/rows/log-facts.ts";
import { upsertJobs, upsertLogs } from "../src/rows/rows.ts";
import { addLedger } from "./ledger.ts";
import { jobObject, type Json, logRow, runId, runObject, stepObject } from "./samples.ts";

export const app = { id: 700_000_001, name: "acme/App" };
export const lib = { id: 700_000_002, name: "acme/lib" };

/** A job's id. */
export const idOf = (place: number): number => 61_901_817_900 + place;
export const commits = { checkout: "11bd7190".padEnd(40, "a"), moved: "11bd7191".padEnd(40, "b"), cache: "c".repeat(40) };

const use = { step_number: 2, action: "actions/checkout", ref: "v4", sha: commits.checkout, line_number: 40 };
export const hour = (number: number): string => `2026-05-01T${String(number).padStart(2, "0")}:00:00Z`;
const usedAt = (number: number) => ({ used_at: hour(number) });

type Job = {
  readonly repository?: typeof app;
  readonly attempt?: number;
  readonly object: Json;
  /** What the record has of the log; undefined: not extracted. */
  readonly facts?: Partial<LogFactsOfRecord>;
  readonly log: "archived" | "pending" | "forbidden" | "deleted" | "not_run" | "copied";
};

const [failed, failedAgain] = [
  stepObject(2, { name: "Run tests", conclusion: "failure" }),
  stepObject(9, { conclusion: "failure" }),
];
const hosted = { version: "2.330.0", os: "Ubuntu 24.04", image: "ubuntu-24.04", image_version: "20260420.1", region: "westus" };

/** Job `n` completes at hour `n` of 1 May, after 50 minutes. */
export const jobs: readonly Job[] = [
  {
    object: { name: "build" },
    log: "archived",
    facts: {
      action_uses: [
        { ...use, ...usedAt(0) },
        { ...use, step_number: 3, action: "Actions/Cache/restore", sha: commits.cache, line_number: 41, ...usedAt(0) },
        { ...use, step_number: null, action: "docker://postgres", ref: "17", sha: null, line_number: 90, used_at: null },
      ],
      annotations: [],
      runner: hosted,
      token_permissions: { Packages: "write", Contents: "write", Metadata: "read" },
    },
  },
  {
    object: { name: "test", conclusion: "failure", steps: [stepObject(1), failed, failedAgain] },
    log: "archived",
    facts: {
      action_uses: [{ ...use, step_number: null, action: "actions/cache", sha: commits.cache, ...usedAt(1) }],
      annotations: [
        { step_number: 1, level: "error", line_number: 1, message: "of another step" },
        { step_number: 2, level: "error", line_number: 20, message: '=1+1 \u001B[2J, "quoted"' },
        { step_number: 2, level: "warning", line_number: 21, message: "no error" },
        { step_number: null, level: "error", line_number: 22, message: "exit code 1" },
        { step_number: 9, level: "error", line_number: 30, message: "later" },
      ],
      runner: hosted,
      token_permissions: { Contents: "read" },
    },
  },
  {
    attempt: 2,
    object: { name: "test" },
    log: "archived",
    facts: {
      action_uses: [{ ...use, sha: commits.moved, ...usedAt(2) }],
      annotations: [],
      token_permissions: {},
      runner: hosted,
    },
  },
  {
    object: { name: "Deploy to 100%", labels: ["self-hosted"], runner_name: "vault-1", runner_group_name: "prod" },
    log: "archived",
  },
  { object: { name: "lint" }, log: "pending" },
  { object: { name: "docs" }, log: "forbidden" },
  { object: { name: "e2e" }, log: "deleted" },
  { object: { name: "release", conclusion: "skipped", runner_name: null, runner_group_name: null }, log: "not_run" },
  { attempt: 2, object: { name: "build" }, log: "copied" },
  {
    object: { name: "matrix" },
    log: "archived",
    facts: { action_uses: [{ ...use, ref: commits.checkout, ...usedAt(9) }], left_out: { action_uses: 3 }, runner: {} },
  },
  {
    repository: lib,
    object: { name: "publish", head_branch: "v1.2", workflow_name: null },
    log: "archived",
    facts: {
      action_uses: [{ ...use, action: "ACTIONS/Checkout", ref: "release/v4", ...usedAt(10) }],
      annotations: [],
      runner: { version: "2.330.0", name: "lib-1" },
      token_permissions: { Contents: "write", Packages: "write" },
    },
  },
];

export type ReportedArchive = TestDatabase & {
  readonly report: (name: string, values?: Readonly<Record<string, string>>) => Promise<ReportAnswer>;
};

/** The span of all its jobs. */
export const wholeSpan = { since: "2026-05-01", until: "2026-05-02" };

export async function openReportedArchive(): Promise<ReportedArchive> {
  const database = await openTestDatabase();
  const { db, pool } = database;
  for (const { id, name } of [app, lib]) {
    await addLedger(db, id, name);
    await addWindow(db, id, { start: new Date("2026-05-01T00:00:00Z"), end: new Date() });
    await recordRuns(db, id, [
      runObject({ id: runIdOf(id), run_attempt: 2, triggering_actor: { login: "hubot" }, repository: { id, full_name: name } }),
    ]);
  }
  await db.updateTable("archive.attempts").set({ state: "listed", listed_jobs: 0 }).execute();
  for (const [index, job] of jobs.entries()) await addJob(db, index + 1, job);
  await pool.query("analyze");
  const reports = new Map(listReports().map((report) => [report.name, report]));
  return {
    ...database,
    async report(name, values = wholeSpan) {
      const report = reports.get(name);
      if (report === undefined) throw new Error(`There is no report ${name}`);
      return runReport(pool, report, values);
    },
  };
}

export const runIdOf = (repositoryId: number): number => runId + repositoryId;

async function addJob(
  db: Database,
  place: number,
  { repository = app, attempt = 1, object: changes, facts, log }: Job,
): Promise<void> {
  const job_id = idOf(place);
  const times = { started_at: hour(place - 1).replace(":00:", ":10:"), completed_at: hour(place) };
  const object = jobObject({ id: job_id, run_id: runIdOf(repository.id), ...times, ...changes });
  const story = { repository_id: repository.id, run_attempt: attempt, last_listed_attempt: attempt, object };
  await recordJobs(db, repository.id, [{ object, source: "listing", listedAttempt: attempt }]);
  await transact(db, async (trx) => {
    await upsertJobs(trx, [story]);
    await markRowsLoaded(trx, [job_id]);
    if (log === "forbidden") await failLog(trx, job_id, log, "403 from the API");
    if (log === "pending" || log === "forbidden") return;
    const row = logRow({ job_id, version: 1, state: log === "archived" ? log : "absent" });
    const { record_key } = row;
    const isArchived = log === "archived";
    await upsertLogs(trx, [
      { ...row, log_reason: isArchived ? null : log, copied_from_job_id: log === "copied" ? idOf(1) : null },
    ]);
    await replaceLogFacts(trx, [{ job_id, record_key, ...facts }]);
    await recordTerminalStates(trx, [job_id]);
  });
}
