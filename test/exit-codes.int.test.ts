// Exit codes and messages that operators and their scripts rely on.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

import { startSimulator } from "@actions-archive/github-simulator/simulator";
import { createTestDatabase } from "@actions-archive/testkit/test-database";
import { Redis } from "ioredis";
import { expect, test } from "vitest";
import { z } from "zod";

import { mainOf, runCli, type Settings, startProgram } from "./support/processes.ts";
import { engineSettings, githubSettings, openWorkspace } from "./support/workspace.ts";

const token = "ghp_neverToBeShown0000000000000000000000";
const credential = { GITHUB_TOKEN: token, ARCHIVE_REPOSITORIES: "octo-org/api" };
/** No server listens there: these tests end before a request, or fail. */
const nowhere = { GITHUB_API_URL: "http://127.0.0.1:9" };

async function runWorker(name: "fetcher" | "log-worker" | "loader", options: { cwd: string; settings: Settings }) {
  await using program = startProgram(mainOf(name), [], options);
  return await program.ended;
}

test("start names every missing and wrong setting at once, repeats no value, and creates nothing", async () => {
  await using workspace = await openWorkspace();
  const settings = {
    POLL_INTERVAL_SECONDS: "whenever",
    GITHUB_API_URL: "http://github.example.com/secret-path",
    S3_OBJECT_LOCK_MODE: "GOVERNANCE",
    ARCHIVE_SINCE: "yesterday",
  };
  const named = [
    "GITHUB_TOKEN",
    "ARCHIVE_REPOSITORIES",
    "POLL_INTERVAL_SECONDS",
    "GITHUB_API_URL",
    "S3_OBJECT_LOCK_DAYS",
    "ARCHIVE_SINCE",
  ];
  for (const args of [["start"], ["start", "--once"]]) {
    const { code, stdout, stderr } = await runCli(args, { cwd: workspace.folder, settings });
    expect(code).toBe(78);
    for (const name of named) expect(stdout + stderr).toContain(`${name}: `);
    for (const value of ["whenever", "secret-path", "yesterday"]) expect(stdout + stderr).not.toContain(value);
  }
  expect(await readdir(workspace.folder)).toEqual([]);
});

test("a worker alone needs all three URLs, and a credential unless it is the loader", async () => {
  await using workspace = await openWorkspace();
  const options = { cwd: workspace.folder, settings: {} };
  const [fetcher, logWorker, loader] = await Promise.all([
    runWorker("fetcher", options),
    runWorker("log-worker", options),
    runWorker("loader", options),
  ]);
  for (const { code, stdout } of [fetcher, logWorker, loader]) {
    expect(code).toBe(78);
    for (const name of ["ARCHIVE_URL", "DATABASE_URL", "QUEUE_URL"]) expect(stdout).toContain(`${name}: is required`);
  }
  expect(fetcher.stdout).toContain("GITHUB_TOKEN: is required");
  expect(logWorker.stdout).toContain("GITHUB_TOKEN: is required");
  expect(loader.stdout).not.toContain("GITHUB_TOKEN");
});

test("wrong usage ends with 2 and shows the right usage", async () => {
  await using workspace = await openWorkspace();
  const wrong = [
    ["begin"],
    ["start", "--twice"],
    ["start", "--once", "--max-wait", "soon"],
    ["logs"],
    ["logs", "build"],
    ["sql"],
  ];
  const ended = await Promise.all(wrong.map((args) => runCli(args, { cwd: workspace.folder, settings: {} })));
  for (const [index, { code, stdout, stderr }] of ended.entries()) {
    expect(code, wrong[index]?.join(" ")).toBe(2);
    expect(stderr).toMatch(/^error: /);
    expect(stdout).toBe("");
  }
});

test("every command has help with an example", async () => {
  await using workspace = await openWorkspace();
  const options = { cwd: workspace.folder, settings: {} };
  const { code, stdout } = await runCli(["--help"], options);
  expect(code).toBe(0);
  const listed = stdout.slice(stdout.indexOf("Commands:")).matchAll(/^ {2}([a-z][a-z-]*)/gm);
  const commands = Array.from(listed, ([, name = ""]) => name).filter((name) => name !== "help");
  expect(commands).toEqual(expect.arrayContaining(["start", "demo", "migrate", "status", "logs", "sql"]));
  const helps = await Promise.all(commands.map((command) => runCli([command, "--help"], options)));
  for (const [index, help] of helps.entries()) {
    expect(help.code, commands[index]).toBe(0);
    expect(help.stdout, commands[index]).toMatch(/\nExamples?:\n/);
  }
});

test("an empty database is refused with a hint to run migrate, which fixes it", async () => {
  await using workspace = await openWorkspace();
  const engines = { ...(await engineSettings(workspace)), DATABASE_URL: await createTestDatabase({ migrated: false }) };
  const options = { cwd: workspace.folder, settings: { ...credential, ...nowhere, ...engines } };
  const refused = [
    await runCli(["start", "--once"], options),
    await runCli(["status"], options),
    await runWorker("loader", options),
  ];
  for (const { code, stdout, stderr } of refused) {
    expect(code).toBe(78);
    expect(stdout + stderr).toContain("Run: actions-archive migrate");
  }
  expect((await runCli(["migrate"], options)).code).toBe(0);
  const status = await runCli(["status", "--json"], options);
  expect(status.code, status.stderr).toBe(0);
  expect(JSON.parse(status.stdout)).toMatchObject({ counts: { jobs: 0 } });
});

/** Starts a separate redis-server on a free port. */
async function startRedis(folder: string, policy: string): Promise<AsyncDisposable & { url: string }> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  // The address of a TCP server is an AddressInfo.
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, "close");
  const settings = ["--port", String(port), "--bind", "127.0.0.1", "--dir", folder, "--save", "", "--maxmemory-policy", policy];
  const child = spawn("redis-server", settings, { stdio: "ignore" });
  await once(child, "spawn");
  const url = `redis://127.0.0.1:${port}`;
  const client = new Redis(url, { maxRetriesPerRequest: null, retryStrategy: () => 20 });
  client.on("error", () => {});
  await client.ping();
  client.disconnect();
  return {
    url,
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      if (child.exitCode === null) await once(child, "exit");
    },
  };
}

test("a Redis that evicts is refused with the setting to change", async () => {
  await using workspace = await openWorkspace();
  await using redis = await startRedis(workspace.folder, "allkeys-lru");
  const engines = { ...(await engineSettings(workspace)), QUEUE_URL: redis.url };
  const options = { cwd: workspace.folder, settings: { ...credential, ...nowhere, ...engines } };
  for (const { code, stdout, stderr } of [await runCli(["start", "--once"], options), await runWorker("fetcher", options)]) {
    expect(code).toBe(78);
    expect(stdout + stderr).toContain("allkeys-lru");
    expect(stdout + stderr).toContain("Set: maxmemory-policy noeviction");
  }
});

test("an archive of another host is refused, and so is a store that cannot be written", async () => {
  await using workspace = await openWorkspace();
  const engines = await engineSettings(workspace);
  await mkdir(workspace.archive);
  const other = {
    archive_id: "6c7a1f0e-8a39-4d0b-9a55-0d2f6a0d1f11",
    host: "github.com",
    created_at: "2026-01-01T00:00:00.000Z",
    version: 1,
  };
  await writeFile(join(workspace.archive, "archive.json"), JSON.stringify(other));
  const settings = { ...credential, ...nowhere, ...engines };
  const otherHost = await runCli(["start", "--once"], { cwd: workspace.folder, settings });
  expect(otherHost).toMatchObject({ code: 78, stderr: expect.stringContaining("archives github.com") });

  // Not even root can create a folder below a file.
  const unwritable = { ...settings, ARCHIVE_URL: pathToFileURL(join(workspace.archive, "archive.json", "archive")).href };
  const refused = await runCli(["start", "--once"], { cwd: workspace.folder, settings: unwritable });
  expect(refused).toMatchObject({ code: 78, stderr: expect.stringContaining("Use a folder that the process may write to") });
});

test("start --once with a repository that does not exist archives the others, ends with 3, and names it", async () => {
  await using workspace = await openWorkspace();
  await using simulator = await startSimulator({ scenario: "empty", rateLimits: { perHour: 100_000 } });
  simulator.control.addRun({ repository: "octo-org/api" });
  const settings = {
    ...githubSettings(simulator),
    ...(await engineSettings(workspace)),
    ARCHIVE_REPOSITORIES: "octo-org/api,octo-org/missing",
  };
  const { code, stdout } = await runCli(["start", "--once", "--json"], { cwd: workspace.folder, settings });
  expect(code).toBe(3);
  const Report = z.object({
    complete: z.boolean(),
    counts: z.looseObject({ archived: z.int() }),
    owed: z.array(z.object({ kind: z.string(), repository: z.string(), reason: z.string(), detail: z.string() })),
    given_up: z.array(z.string()),
  });
  expect(Report.parse(JSON.parse(stdout))).toMatchObject({
    complete: false,
    counts: { archived: 1 },
    owed: [
      {
        kind: "window_open",
        repository: "octo-org/missing",
        reason: "problem",
        detail: expect.stringContaining("404") as string,
      },
    ],
    given_up: [],
  });
});
