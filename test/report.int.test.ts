// The output of `report`: its list, help, tables, CSV and JSON, and messages about wrong usage.

import { listReports } from "@actions-archive/database/audit/reports";
import { expect, test } from "vitest";

import { firstJobId, openFilledArchive } from "./support/filled-archive.ts";
import { runCli } from "./support/processes.ts";
import { openWorkspace } from "./support/workspace.ts";

const since = ["--since", "2026-05-01"];
const hostile = '=cmd|"/c calc"!A1, deploy\n\u001B[2J';

test("report alone lists every report on one line, and its help is the same", async () => {
  await using workspace = await openWorkspace();
  const run = (...args: string[]) => runCli(["report", ...args], { cwd: workspace.folder, settings: {} });
  const alone = await run();
  expect(alone).toMatchObject({ code: 0, stderr: "" });
  const lines = alone.stdout.split("\n");
  for (const { name, summary } of listReports())
    expect(lines).toContainEqual(expect.stringMatching(`^  ${name} +${RegExp.escape(summary)}$`));
  expect((await run("--help")).stdout).toBe(alone.stdout);
});

// All reports share their code. These represent those with options and with an argument.
const shown = listReports().filter(({ name }) => name === "action-uses" || name === "evidence");

test.each(shown)("the help of $name shows its options, columns, limits and examples", async (report) => {
  await using workspace = await openWorkspace();
  const { code, stdout } = await runCli(["report", report.name, "--help"], { cwd: workspace.folder, settings: {} });
  expect(code).toBe(0);
  for (const { name, fallback } of report.parameters)
    expect(stdout).toContain(fallback === undefined ? `<${name}>` : `--${name.replaceAll("_", "-")} <`);
  for (const { name } of report.columns) expect(stdout).toContain(name);
  for (const example of report.examples) expect(stdout).toContain(example);
  expect(stdout).toContain("What it cannot know:");
});

test.each([
  [["nobody"], "there is no report 'nobody': the reports are action-uses, actions, "],
  [["action-uses", "--since", "yesterday"], "must be a date such as 2026-01-31 or a number of days"],
  [["action-uses", "--action", "checkout"], "must be owner/name"],
  [["action-uses", "--action", "a/b@"], "must be owner/name"],
  [["slowest", "--by", "moon"], "Allowed choices are workflow, job, step"],
  [["failures", "--limit", "0"], "must be a whole number, 1 or more"],
  [["failures", "--csv", "--json"], "'--csv' cannot be used with option '--json'"],
  [["failures", "--action", "a/b"], "unknown option '--action'"],
  [["failures", "--repository", "app"], "must be owner/name"],
  [["evidence"], "missing required argument 'job_id'"],
  [["evidence", "1.5"], "must be a job's id"],
])("report %j ends with 2 and names what is wrong", async (args, message) => {
  await using workspace = await openWorkspace();
  const { code, stdout, stderr } = await runCli(["report", ...args], { cwd: workspace.folder, settings: {} });
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  expect(stderr).toContain(message);
});

test("a table states its span and what could not be read, and so do JSON and CSV", async () => {
  await using workspace = await openWorkspace();
  await using archive = await openFilledArchive(workspace);
  await archive.archive({ job_id: firstJobId }, "no facts in this record\n");
  await archive.owe({ job_id: firstJobId + 1 });
  const ask = ["report", "action-uses", "--action", "tj-actions/changed-files", ...since];
  const run = (...args: string[]) => runCli([...ask, ...args], archive.options);

  const table = await run();
  expect(table).toMatchObject({ code: 0, stderr: "" });
  expect(table.stdout).toBe(
    "(no rows)\n(0 rows, since 2026-05-01T00:00:00Z)\nNot read, so rows may be missing: 2 × gap: window_open, 1 × log not searched for actions, 1 × log pending.\n",
  );
  const json = await run("--json", "--repository", "ACME/App");
  expect(JSON.parse(json.stdout)).toEqual({
    report: "action-uses",
    parameters: { action: "tj-actions/changed-files", since: "2026-05-01T00:00:00.000Z", repository: "acme/app", limit: "10000" },
    rows: [],
    truncated: false,
    unread: { "gap: window_open": 1, "log not searched for actions": 1, "log pending": 1 },
  });
  const csv = await run("--csv");
  expect(csv.stdout).toMatch(/^used_at,repository,workflow_name,[a-z_,0-9]+log_sha256\r\n$/);
  expect(csv.stderr).toContain("Not read, so rows may be missing: ");
  const unknown = await run("--repository", "acme/nobody");
  expect(unknown).toMatchObject({ code: 2, stdout: "" });
  expect(unknown.stderr).toContain("No repository acme/nobody is known");
});

test("CSV is RFC 4180 and starts no formula, and a table escapes control characters", async () => {
  await using workspace = await openWorkspace();
  await using archive = await openFilledArchive(workspace);
  for (const id of [firstJobId, firstJobId + 1])
    await archive.archive({ job_id: id, name: hostile, workflow_name: "plain" }, "\n");
  const run = (...args: string[]) => runCli(["report", "deployments", ...since, ...args], archive.options);

  const csv = await run("--csv", "--limit", "1");
  const [head = "", ...rows] = csv.stdout.split("\r\n");
  expect(head.split(",").slice(0, 5)).toEqual(["completed_at", "started_at", "repository", "workflow_name", "job_name"]);
  expect(rows[0]).toContain(
    `2026-05-01 10:04:00+00,2026-05-01 10:00:10+00,acme/app,plain,"'${hostile.replaceAll('"', '""')}",success,main,`,
  );
  expect(rows).toHaveLength(2);
  expect(csv.stderr).toBe("(1 row, and there are more: --limit shows them, since 2026-05-01T00:00:00Z)\n");

  const table = await run();
  expect(table.stdout).toContain("deploy^J^[[2J");
  expect(table.stdout).not.toContain("\u001B");
  const json = JSON.parse((await run("--json")).stdout);
  expect(json.rows).toMatchObject([
    { job_id: firstJobId + 1, job_name: hostile, completed_at: "2026-05-01T10:04:00+00:00" },
    { job_id: firstJobId },
  ]);
});

test("evidence is one document, and an unknown job is reported", async () => {
  await using workspace = await openWorkspace();
  await using archive = await openFilledArchive(workspace);
  const log_key = await archive.archive({ job_id: firstJobId }, "text\n");
  const { code, stdout } = await runCli(["report", "evidence", String(firstJobId)], archive.options);
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({
    job: { job_id: firstJobId, log_key, log_state: "archived", object_source: "listing" },
    seal: null,
  });
  const absent = await runCli(["report", "evidence", "7", "--json"], archive.options);
  expect(absent).toMatchObject({ code: 2, stdout: "" });
  expect(absent.stderr).toContain("No job 7 is among the completed jobs of this archive");
});
