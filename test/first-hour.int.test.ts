// What a newcomer meets: folders without an archive, --dir, --version, help, and commands that a page or the demo prints.

import { readdir } from "node:fs/promises";
import { join } from "node:path";

import { expect, test } from "vitest";
import { z } from "zod";

import { runCli } from "./support/processes.ts";
import { openWorkspace } from "./support/workspace.ts";

const readers = [
  ["status"],
  ["gaps"],
  ["jobs"],
  ["logs", "1"],
  ["search", "x"],
  ["report", "failures"],
  ["sql", "select 1"],
  ["retry"],
  ["hold", "1"],
  ["retention"],
  ["erase", "1", "--reason", "x", "--yes"],
  ["seal"],
  ["verify"],
  ["proof", "1"],
  ["export-case", "1", "--to", "case"],
  ["rebuild"],
  ["reindex"],
  ["migrate"],
  ["backfill", "list"],
].map((args) => ({ command: args.join(" "), args }));

test.each(readers)("$command in a folder without an archive says so and creates nothing", async ({ args }) => {
  await using workspace = await openWorkspace();
  const { code, stdout, stderr } = await runCli(args, { cwd: workspace.folder, settings: {} });
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  expect(stderr).toContain(`No archive here: ${workspace.folder}/.actions-archive`);
  expect(stderr).toContain("--dir");
  expect(await readdir(workspace.folder)).toEqual([]);
});

test("--version prints the version, and help of a command is short", async () => {
  await using workspace = await openWorkspace();
  const options = { cwd: workspace.folder, settings: {} };
  expect(await runCli(["--version"], options)).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) as string,
  });
  const { code, stdout } = await runCli(["jobs", "--help"], options);
  expect(code).toBe(0);
  expect(stdout).toContain("--dir <dir>");
});

const Jobs = z.strictObject({
  jobs: z.array(z.looseObject({ job_id: z.int(), conclusion: z.string() })),
  truncated: z.boolean(),
});

test("every command that the demo prints works as printed, from the folder in which it ran", async () => {
  await using workspace = await openWorkspace();
  const options = { cwd: workspace.folder, settings: {} };
  const demo = await runCli(["demo"], options);
  expect(demo, demo.stdout + demo.stderr).toMatchObject({ code: 0 });
  const printed = [...demo.stdout.matchAll(/^ {2}npx pnpm actions-archive (.*)$/gm)].map(([, command = ""]) => command);
  expect(printed.length).toBeGreaterThan(5);
  for (const command of printed) {
    const args = [...command.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(
      ([, double, single, bare]) => double ?? single ?? bare ?? "",
    );
    const { code, stderr, stdout } = await runCli(args, options);
    // The demo's world has deleted logs, in which a match may hide.
    expect({ command, code }, stderr).toEqual({ command, code: command.startsWith("search") ? 3 : 0 });
    expect(stdout).not.toBe("");
  }
  const dir = join(".actions-archive", "demo");
  const jobs = await runCli(["jobs", "--conclusion", "failure", "--limit", "3", "--json", "--dir", dir], options);
  const { jobs: rows, truncated } = Jobs.parse(JSON.parse(jobs.stdout));
  expect(rows.map(({ conclusion }) => conclusion)).toEqual(["failure", "failure", "failure"]);
  expect(truncated).toBe(true);
  const csv = await runCli(
    ["jobs", "--repository", "OCTO-ORG/api", "--state", "archived", "--limit", "2", "--csv", "--dir", dir],
    options,
  );
  expect(csv.stdout.trimEnd().split("\n")).toHaveLength(3);
  expect(csv.stdout).toMatch(/^repository,run_id,run_attempt,job_id/);
  expect((await runCli(["jobs", "--since", "2020-01-01", "--until", "2020-01-02", "--dir", dir], options)).stdout).toContain(
    "No job of this choice",
  );
});
