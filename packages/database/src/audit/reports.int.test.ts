// Every report on an archive with known content, as the program runs it and as psql runs the same file.

import { execFile, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { afterAll, beforeAll, expect, test } from "vitest";

import {
  app,
  commits,
  hour,
  idOf,
  lib,
  openReportedArchive,
  type ReportedArchive,
  runIdOf,
  wholeSpan,
} from "../../test-support/reports.ts";
import { runObject } from "../../test-support/samples.ts";
import { recordRuns } from "../ledger/runs.ts";
import { listReports } from "./reports.ts";

/** For tests that only read; the others open their own. */
let shared: ReportedArchive;
beforeAll(async () => {
  shared = await openReportedArchive();
  await shared.pool.query(
    "update archive.log_jobs set expires_at = date_trunc('hour', now()) + interval '2 days' + job_id % 100 * interval '1 minute'",
  );
});
afterAll(() => shared[Symbol.asyncDispose]());

const place = (row: Readonly<Record<string, unknown>>) => Number(row["job_id"]) - idOf(0);
/** In Postgres' JSON format. */
const timeOf = (time: string) => time.replace("Z", "+00:00");
const uses = (rows: readonly Readonly<Record<string, unknown>>[]) =>
  rows.map((row) => [place(row), row["action"], row["step_number"]]);

test.each([
  ["actions/checkout", [11, 10, 3, 1]],
  ["ACTIONS/CHECKOUT", [11, 10, 3, 1]],
  ["actions/checkout@v4", [3, 1]],
  ["actions/checkout@V4", []],
  ["actions/checkout@release/v4", [11]],
  [`actions/checkout@${commits.checkout}`, [11, 10, 1]],
  ["actions/checkout@11BD719", [11, 10, 3, 1]],
  ["actions/checkout@11bd7190", [11, 10, 1]],
  ["actions/checkout@11bd71", []],
  ["actions/cache", [2, 1]],
  ["actions/cache/restore", [2, 1]],
  ["actions/cache/save", [2]],
  ["actions/cach", []],
  ["docker://postgres", [1]],
  ["docker://postgres@17", [1]],
  ["actions/%", []],
  ["a'; drop table archive.jobs; --/x", []],
])("action-uses --action %s finds the jobs %j", async (action, places) => {
  const { rows } = await shared.report("action-uses", { ...wholeSpan, action });
  expect(rows.map(place)).toEqual(places);
});

test("a row of action-uses has the job, step, commit and actor", async () => {
  const { rows } = await shared.report("action-uses", { ...wholeSpan, action: "actions/cache/restore" });
  expect(uses(rows)).toEqual([
    [2, "actions/cache", null],
    [1, "Actions/Cache/restore", 3],
  ]);
  expect(rows[1]).toEqual({
    used_at: timeOf(hour(0)),
    repository: app.name,
    workflow_name: "CI",
    job_name: "build",
    job_id: idOf(1),
    run_id: runIdOf(app.id),
    run_attempt: 1,
    step_number: 3,
    action: "Actions/Cache/restore",
    ref: "v4",
    sha: commits.cache,
    conclusion: "success",
    event: "push",
    actor: "mona",
    triggering_actor: null, // Attempt 1 was never seen, attempt 2 alone.
    head_branch: "main",
    head_sha: "8a1f".repeat(10),
    line_number: 41,
    log_sha256: `${idOf(1)}1`.padStart(64, "0"),
  });
});

const unreadOfApp = {
  "list of actions cut": 1,
  "log absent: deleted": 1,
  "log failed: forbidden": 1,
  "log not searched for actions": 1,
  "log pending": 1,
};

test("action-uses counts what could not be read, in its span and repository alone", async () => {
  const ask = async (values: Record<string, string>) => (await shared.report("action-uses", values)).unread;
  expect(await ask({ ...wholeSpan, action: "no/body" })).toEqual(unreadOfApp);
  expect(await ask({ ...wholeSpan, repository: app.name })).toEqual(unreadOfApp);
  expect(await ask({ ...wholeSpan, repository: lib.name })).toEqual({});
  expect(await ask({ since: hour(5), until: hour(6) })).toEqual({ "log pending": 1 });
});

test("unlisted spans count as unread", async () => {
  await using archive = await openReportedArchive();
  const { db, pool, report } = archive;
  await pool.query("update archive.windows set window_start = '2026-05-20' where repository_id = $1", [lib.id]);
  await pool.query("update archive.log_jobs set rows_loaded_at = null where job_id = $1", [idOf(1)]);
  await db.updateTable("archive.attempts").set({ state: "open" }).where("repository_id", "=", lib.id).execute();
  expect((await report("action-uses")).unread).toEqual({
    ...unreadOfApp,
    "gap: job_not_loaded": 1,
    "gap: run_open": 2,
    "gap: window_open": 1,
  });
  // Runs of a window may still be in progress 35 days after it.
  expect((await report("action-uses", { since: "2026-06-23", repository: lib.name })).unread).toMatchObject({
    "gap: window_open": 1,
  });
  expect((await report("action-uses", { since: "2026-06-25", repository: lib.name })).unread).toEqual({ "gap: run_open": 2 });
});

test("a span is half-open, by the end of the job", async () => {
  const { rows } = await shared.report("action-uses", { since: hour(1), until: hour(3), action: "" });
  expect(new Set(rows.map(place))).toEqual(new Set([1, 2]));
});

test("actions sums up by action, ref and commit, so that a moved tag shows", async () => {
  const { rows } = await shared.report("actions");
  expect(rows).toContainEqual({
    action: "actions/checkout",
    ref: "v4",
    sha: commits.moved,
    jobs: 1,
    repositories: 1,
    first_used_at: timeOf(hour(2)),
    last_used_at: timeOf(hour(2)),
    last_job_id: idOf(3),
  });
  expect(rows.map(({ action, ref }) => `${String(action)}@${String(ref)}`)).toEqual([
    `actions/cache@v4`,
    `actions/cache/restore@v4`,
    `actions/checkout@${commits.checkout}`,
    "actions/checkout@release/v4",
    "actions/checkout@v4",
    "actions/checkout@v4",
    "docker://postgres@17",
  ]);
});

test("deployments are jobs whose name says so, with the proof of their logs", async () => {
  const { rows } = await shared.report("deployments");
  expect(rows.map(place)).toEqual([11, 4]);
  expect(rows[1]).toMatchObject({
    job_name: "Deploy to 100%",
    runner_name: "vault-1",
    actor: "mona",
    triggering_actor: null, // Attempt 1 was never seen, attempt 2 alone.
    head_sha: "8a1f".repeat(10),
    log_state: "archived",
    log_sha256: `${idOf(4)}1`.padStart(64, "0"),
    record_sha256: `${idOf(4)}1`.padStart(64, "0"),
  });
  const places = async (values: Record<string, string>) =>
    (await shared.report("deployments", { ...wholeSpan, ...values })).rows.map(place);
  expect(await places({ branch: "v1.2" })).toEqual([11]);
  expect(await places({ job_pattern: "^(LINT|docs)$" })).toEqual([6, 5]);
  await expect(places({ job_pattern: "(" })).rejects.toThrow(/^Postgres refuses the query: .*parenthes/);
});

test("runners distinguishes self-hosted from hosted ones, which have no name", async () => {
  const { rows, unread } = await shared.report("runners");
  expect(
    rows.map(({ kind, runner_name, image, repository, jobs: count }) => [kind, runner_name, image, repository, count]),
  ).toEqual([
    ["self-hosted", "vault-1", null, app.name, 1],
    ["hosted", null, null, app.name, 5],
    ["hosted", null, "ubuntu-24.04", app.name, 3],
    ["hosted", null, null, lib.name, 1],
  ]);
  expect(unread).toEqual({
    "log absent: deleted": 1,
    "log failed: forbidden": 1,
    "log not searched for its runner": 1,
    "log pending": 1,
  });
});

test("failures names the first step that failed and its errors, and those of no step", async () => {
  const { rows } = await shared.report("failures");
  expect(rows).toMatchObject([
    { job_id: idOf(2), step_number: 2, step_name: "Run tests", error_lines: ['=1+1 \u001B[2J, "quoted"', "exit code 1"] },
  ]);
});

/** GitHub's conclusions of runs without a job, one run each, an hour apart. */
const endingsWithoutJobs = ["startup_failure", "failure", "timed_out", "stale", "cancelled", "action_required"] as const;

async function addRunsWithoutJobs({ db }: ReportedArchive): Promise<void> {
  const runs = endingsWithoutJobs.map((conclusion, index) =>
    runObject({ id: runIdOf(index + 1), conclusion, name: conclusion, head_branch: "broken", updated_at: hour(index + 12) }),
  );
  await recordRuns(db, app.id, runs);
  await db
    .updateTable("archive.attempts")
    .set({ state: "listed", listed_jobs: 0 })
    .where("run_id", "<", runIdOf(app.id))
    .execute();
}

test("failures has a row for a run that failed before it had a job, and none for one that waits or was stopped", async () => {
  await using archive = await openReportedArchive();
  await addRunsWithoutJobs(archive);
  const { rows } = await archive.report("failures");
  expect(rows.map(({ conclusion, job_id }) => [conclusion, job_id])).toEqual([
    ["timed_out", null],
    ["failure", null],
    ["startup_failure", null],
    ["failure", idOf(2)],
  ]);
  expect(rows[2]).toEqual({
    completed_at: timeOf(hour(12)),
    repository: app.name,
    workflow_name: "startup_failure",
    job_name: null,
    conclusion: "startup_failure",
    head_branch: "broken",
    head_sha: "8a1f".repeat(10),
    actor: "mona",
    job_id: null,
    run_id: runIdOf(1),
    run_attempt: 1,
    step_number: null,
    step_name: null,
    error_lines: null,
    log_state: null,
    log_reason: null,
  });
  const choose = async (values: Record<string, string>) =>
    (await archive.report("failures", { ...wholeSpan, ...values })).rows.map(({ conclusion }) => conclusion);
  expect(await choose({ limit: "2" })).toEqual(["timed_out", "failure"]);
  expect(await choose({ branch: "broken", until: hour(13) })).toEqual(["startup_failure"]);
  expect(await choose({ repository: lib.name })).toEqual([]);
});

test("missing-logs ends with the runs that ended without a job and without a decision", async () => {
  await using archive = await openReportedArchive();
  await addRunsWithoutJobs(archive);
  const { rows } = await archive.report("missing-logs");
  expect(rows.slice(3).map(({ conclusion, log_state, log_detail }) => [conclusion, log_state, log_detail])).toEqual(
    ["stale", "timed_out", "failure", "startup_failure"].map((conclusion) => [conclusion, null, "the run ended without a job"]),
  );
});

test("a run of conclusion failure counts as without jobs only once its list of jobs is empty", async () => {
  await using archive = await openReportedArchive();
  await addRunsWithoutJobs(archive);
  await archive.db.updateTable("archive.attempts").set({ state: "open", listed_jobs: null }).execute();
  const conclusions = async (name: string) =>
    (await archive.report(name)).rows.filter(({ job_id }) => job_id === null).map(({ conclusion }) => conclusion);
  expect(await conclusions("failures")).toEqual(["startup_failure"]);
  expect(await conclusions("missing-logs")).toEqual(["startup_failure"]);
});

test("flaky is what failed and then passed on the same commit", async () => {
  await using archive = await openReportedArchive();
  expect((await archive.report("flaky")).rows).toEqual([
    {
      repository: app.name,
      workflow_name: "CI",
      job_name: "test",
      flaky_commits: 1,
      commits: 1,
      jobs: 2,
      failed_jobs: 1,
      last_sha: "8a1f".repeat(10),
      last_passed_at: timeOf(hour(3)),
      failed_job_id: idOf(2),
      passed_job_id: idOf(3),
    },
  ]);
  await archive.pool.query("update archive.jobs set completed_at = '2026-05-01T01:30Z' where job_id = $1", [idOf(3)]);
  expect((await archive.report("flaky")).rows).toEqual([]);
});

test.each([
  ["job", "test", null, { times: 2, p50_seconds: 3_000, p95_seconds: 3_000, times_before: 2, p50_change_percent: 0 }],
  // The first attempt began in the preceding span, but ended in this one.
  ["workflow", null, null, { times: 1, p95_seconds: 24_600, times_before: 1, total_seconds: 24_600 }],
  ["step", "test", "step 1", { times: 2, times_before: 2 }],
])("slowest --by %s compares a span with the one before it", async (by, job_name, step_name, expected) => {
  await using archive = await openReportedArchive();
  // The spans are four hours long: jobs 1 to 4, and 5 to 8.
  await archive.pool.query("update archive.jobs set job_name = 'test' where job_id = any($1)", [[idOf(5), idOf(6)]]);
  const span = { since: "2026-05-01T04:30Z", until: "2026-05-01T08:30Z", repository: app.name };
  const { rows } = await archive.report("slowest", { by, ...span });
  const row = rows.find((found) => found["job_name"] === job_name && found["step_name"] === step_name);
  expect(row).toMatchObject(expected);
});

test("permissions lists write scopes and no read scopes", async () => {
  const { rows, unread } = await shared.report("permissions");
  expect(rows.map(({ repository, job_name, write_scopes, jobs: count }) => [repository, job_name, write_scopes, count])).toEqual([
    [app.name, "build", ["Contents", "Packages"], 1],
    [lib.name, "publish", ["Contents", "Packages"], 1],
  ]);
  expect(unread).toMatchObject({ "log not searched for permissions": 2 });
});

test("missing-logs lists logs that can still be downloaded first, and no job that never had a log", async () => {
  const { rows } = await shared.report("missing-logs");
  expect(rows.map((row) => [place(row), row["log_state"], row["log_reason"], row["log_detail"]])).toEqual([
    [5, "pending", null, null],
    [6, "failed", "forbidden", "403 from the API"],
    [7, "absent", "deleted", null],
  ]);
});

test("coverage is complete if nothing is owed", async () => {
  await using archive = await openReportedArchive();
  const { rows } = await archive.report("coverage");
  expect(rows).toMatchObject([
    {
      repository: app.name,
      complete: false,
      incomplete_days: 1,
      jobs_found: 10,
      logs_pending: 1,
      logs_failed: 1,
      open_windows: 0,
    },
    { repository: lib.name, complete: true, incomplete_days: 0, jobs_found: 1, logs_archived: 1, runs_found: 1 },
  ]);
  await archive.pool.query("delete from archive.windows where repository_id = $1", [lib.id]);
  const { rows: unlisted } = await archive.report("coverage", { ...wholeSpan, repository: lib.name });
  expect(unlisted).toMatchObject([{ repository: lib.name, complete: false, days: 0, open_windows: 1 }]);
});

test("expiring counts what GitHub deletes next, day by day", async () => {
  await using archive = await openReportedArchive();
  await archive.pool.query(
    "update archive.log_jobs set expires_at = date_trunc('day', now()) + case job_id when $1 then interval '84 hours' else interval '60 hours' end where job_id = any($2)",
    [idOf(5), [idOf(1), idOf(2), idOf(5)]],
  );
  expect((await archive.report("expiring", {})).rows).toMatchObject([
    { repository: app.name, logs: 1, archived: 0, pending: 1, first_owed_job_id: idOf(5) },
    { repository: app.name, logs: 2, archived: 2, pending: 0, first_owed_job_id: null },
  ]);
  expect((await archive.report("expiring", { within: "1" })).rows).toEqual([]);
});

test("evidence has every fact of a job", async () => {
  const { rows } = await shared.report("evidence", { job_id: String(idOf(1)) });
  expect(rows).toMatchObject([
    {
      evidence: {
        job: {
          job_id: idOf(1),
          run_attempt: 1,
          log_key: expect.stringContaining(`${idOf(1)}.log.zst`),
          log_sha256: `${idOf(1)}1`.padStart(64, "0"),
          record_sha256: `${idOf(1)}1`.padStart(64, "0"),
          record_version: 1,
          object_source: "listing",
          first_seen_at: expect.stringMatching(/^\d{4}-/),
        },
        attempts: [{ run_attempt: 1, event: "push" }, { run_attempt: 2 }],
        steps: [{ step_number: 1 }, { step_number: 2 }, { step_number: 9 }],
        action_uses: [{ line_number: 40 }, { line_number: 41 }, { line_number: 90 }],
        annotations: [],
        permissions: { Contents: "write", Metadata: "read", Packages: "write" },
        runner: { kind: "hosted", image: "ubuntu-24.04", secret_source: null },
        seal: null,
      },
    },
  ]);
  expect((await shared.report("evidence", { job_id: "1" })).rows).toEqual([]);
});

const reports = listReports();

test.each(reports)("the columns of $name are those that its file describes", async ({ name, columns }) => {
  const [row] = (await shared.report(name, name === "evidence" ? { job_id: String(idOf(1)) } : wholeSpan)).rows;
  expect(Object.keys(row ?? {}).toSorted()).toEqual(columns.map((column) => column.name).toSorted());
});

test.each(reports)(
  "the head of $name is whole, and its summary fits a line",
  ({ summary, parameters, columns, cannotKnow, examples, name }) => {
    expect(summary).toMatch(/^[A-Z].{10,60}\.$/);
    expect(cannotKnow).toMatch(/\.$/);
    for (const { description } of [...parameters, ...columns]) expect(description).not.toBe("");
    for (const example of examples) expect(example).toMatch(new RegExp(`^actions-archive report ${name}( |$)`));
  },
);

const isPsqlAbsent = spawnSync("psql", ["--version"]).error !== undefined;

test.skipIf(isPsqlAbsent).each(reports)(
  "psql runs the file of $name and answers the same (skipped without psql)",
  async (report) => {
    const { name, parameters, rows, unread } = report;
    const file = fileURLToPath(new URL(`../../reports/${name}.sql`, import.meta.url));
    const repository = { repository: app.name };
    const hostile = {
      branch: "'\"; :since",
      job_pattern: "it''s|\\$1",
      action: "o'x/:\"y\"@'--",
      repository: "\\'; select 1; --/x",
    };
    const choices =
      name === "evidence"
        ? [{ job_id: String(idOf(1)) }, { job_id: "1" }]
        : [{}, wholeSpan, { ...wholeSpan, ...repository }, { ...wholeSpan, ...hostile }];
    for (const choice of choices) {
      const values = new Map(
        Object.entries<string>(choice).filter(([key]) => parameters.some((parameter) => parameter.name === key)),
      );
      const args = [...values].flatMap(([key, value]) => ["-v", `${key}=${value}`]);
      const { stdout } = await promisify(execFile)("psql", [
        "-X",
        "--no-align",
        "--tuples-only",
        "-v",
        "ON_ERROR_STOP=1",
        ...args,
        "-f",
        file,
        `${shared.url}?options=-c%20timezone%3DUTC`,
      ]);
      const bound = parameters.map((parameter) => values.get(parameter.name) ?? parameter.fallback);
      const answers = [];
      for (const text of unread === undefined ? [rows] : [rows, unread])
        answers.push(
          ...(
            await shared.pool.query<(string | null)[]>({
              text: typed(text),
              values: [bound],
              rowMode: "array",
              types: asText,
            })
          ).rows,
        );
      expect(stdout).toBe(answers.map((row) => `${row.map((value) => value ?? "").join("|")}\n`).join(""));
    }
  },
);

const asText = { getTypeParser: () => (value: unknown) => value };

/** The auditor's function says that the parameter is an array; here a separate query does. */
const typed = (sql: string) => `with typed as (select $1::text[]) select answer.* from (${sql}\n) as answer`;
