// `doctor` on set-ups that are broken in one way each: the right check fails, and its cure says what to do.

import { chmod, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";

import { startSimulator } from "@actions-archive/github-simulator/simulator";
import { openOwnRedis } from "@actions-archive/testkit/own-redis";
import { createTestDatabase } from "@actions-archive/testkit/test-database";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";

import { runCli, type Settings } from "./support/processes.ts";
import { newKey } from "./support/sealed-archive.ts";
import { engineSettings, githubSettings, openWorkspace, type Workspace } from "./support/workspace.ts";

const Report = z.strictObject({
  checks: z.array(
    z.strictObject({
      check: z.string(),
      status: z.enum(["pass", "warn", "fail"]),
      detail: z.string(),
      cure: z.string().nullable(),
    }),
  ),
});

const resources = new AsyncDisposableStack();
let workspace: Workspace;
let healthy: Settings;
let simulator: Awaited<ReturnType<typeof startSimulator>>;

beforeAll(async () => {
  workspace = resources.use(await openWorkspace());
  simulator = resources.use(await startSimulator({ scenario: "empty" }));
  simulator.control.addRun({ repository: "octo-org/api" });
  healthy = {
    ...(await engineSettings(workspace)),
    ...githubSettings(simulator),
    ARCHIVE_REPOSITORIES: "octo-org/api",
    SEAL_KEY: newKey().pem,
    GITHUB_WEBHOOK_SECRET: "long enough",
  };
});

afterAll(() => resources.disposeAsync());

async function examine(changes: Readonly<Record<string, string | undefined>> = {}) {
  const settings = Object.fromEntries(
    Object.entries({ ...healthy, ...changes }).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
  const { code, stdout, stderr } = await runCli(["doctor", "--json"], { cwd: workspace.folder, settings });
  expect(stderr).toBe("");
  const { checks } = Report.parse(JSON.parse(stdout));
  const failed = checks.filter(({ status }) => status === "fail");
  expect(code).toBe(failed.length > 0 ? 2 : 0);
  for (const { status, cure } of checks) expect(cure === null).toBe(status === "pass");
  return { checks, failed, text: stdout };
}

const withPassword = "postgres://owner:secret-password@127.0.0.1:9/archive";

test("a healthy set-up fails no check, and every part is checked", async () => {
  const { checks, failed } = await examine();
  expect(failed).toEqual([]);
  const names = checks.map(({ check }) => check);
  for (const part of [
    ["settings", "github_credential", "github_rate_limit", "github_permissions", "clocks", "webhook", "log_hosts"],
    ["database", "database_schema", "database_roles", "database_durability", "queue", "queue_eviction", "queue_persistence"],
    ["store", "store_conditions", "store_checksum", "disk_spool", "disk_archive", "seal_key"],
  ])
    expect(names).toEqual(expect.arrayContaining(part));
});

test.each([
  ["a wrong setting", { POLL_INTERVAL_SECONDS: "soon" }, "settings", /POLL_INTERVAL_SECONDS/],
  ["a revoked token", { GITHUB_TOKEN: "ghp_revoked00000000" }, "github_credential", /GITHUB_TOKEN is expired or revoked/],
  ["a GitHub that does not answer", { GITHUB_API_URL: "http://127.0.0.1:9" }, "github_api", /GITHUB_API_URL/],
  ["a repository that is not there", { ARCHIVE_REPOSITORIES: "octo-org/none" }, "github_permissions", /octo-org\/none/],
  ["Postgres that does not answer", { DATABASE_URL: withPassword }, "database", /127\.0\.0\.1:9/],
  ["a Redis that does not answer", { QUEUE_URL: "redis://127.0.0.1:9" }, "queue", /ECONNREFUSED/],
  ["a bucket that does not answer", { ARCHIVE_URL: "s3://none/x", S3_ENDPOINT: "http://127.0.0.1:9" }, "store", /s3:\/\/none/],
  ["a spool folder that cannot be made", { SPOOL_DIR: "/proc/none" }, "disk_spool", /\/proc\/none/],
])("%s is named, with its cure", async (_what, changes: Settings, check, words) => {
  const { failed, text } = await examine(changes);
  expect(failed.map((one) => one.check)).toEqual([check]);
  expect(`${failed[0]?.detail} ${failed[0]?.cure}`).toMatch(words);
  expect(text).not.toContain("secret-password");
});

test("a token without the right to read Actions is named", async () => {
  simulator.control.addToken({ token: "ghp_noactions", canReadActions: false });
  const { failed } = await examine({ GITHUB_TOKEN: "ghp_noactions" });
  expect(failed).toMatchObject([{ check: "github_permissions", cure: expect.stringContaining("Actions: read") as string }]);
});

test("a database of an older schema names migrate", async () => {
  const { failed } = await examine({ DATABASE_URL: await createTestDatabase({ migrated: false }) });
  expect(failed).toMatchObject([{ check: "database_schema", cure: expect.stringContaining("migrate") as string }]);
});

test("a Redis that evicts is named, and one that keeps nothing on disk is a warning", async () => {
  await using redis = await openOwnRedis(join(workspace.folder, "evicting"));
  for (const [name, value] of Object.entries({ "maxmemory-policy": "allkeys-lru", appendonly: "no", save: "" }))
    await redis.ask("config", "set", name, value);
  const { checks, failed } = await examine({ QUEUE_URL: redis.url });
  expect(failed).toMatchObject([{ check: "queue_eviction", cure: "Set: maxmemory-policy noeviction" }]);
  expect(checks).toContainEqual(expect.objectContaining({ check: "queue_persistence", status: "warn" }));
});

test("a Redis that refuses says why", async () => {
  await using redis = await openOwnRedis(join(workspace.folder, "locked"));
  await redis.ask("config", "set", "requirepass", "needed");
  const { failed } = await examine({ QUEUE_URL: redis.url });
  expect(failed).toMatchObject([{ check: "queue", detail: expect.stringMatching(/NOAUTH|Authentication/) as string }]);
});

test("a seal key file that cannot be read is named, and a missing key is a warning", async () => {
  const file = join(workspace.folder, "seal-key.pem");
  await writeFile(file, "no key");
  await chmod(file, 0o600);
  const { failed } = await examine({ SEAL_KEY: undefined, SEAL_KEY_FILE: file });
  expect(failed.map(({ check }) => check)).toEqual(["settings", "seal_key"]);
  const { checks } = await examine({ SEAL_KEY: undefined });
  expect(checks).toContainEqual(expect.objectContaining({ check: "seal_key", status: "warn" }));
});

test("a clock that differs from GitHub's is named with the difference", async () => {
  const server = createServer((request, response) => {
    response.setHeader("date", new Date(Date.now() + 3_600_000).toUTCString());
    response.setHeader("content-type", "application/json");
    if (request.url?.startsWith("/rate_limit")) response.end('{"resources":{"core":{"limit":5000,"remaining":5000,"reset":9}}}');
    else if (request.url?.startsWith("/meta")) response.end("{}");
    else response.end('{"total_count":0,"workflow_runs":[]}');
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const { failed } = await examine({ GITHUB_API_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
    expect(failed).toMatchObject([{ check: "clocks", detail: expect.stringMatching(/3[56]\d\d s ahead/) as string }]);
  } finally {
    server.close();
  }
});

test("for people, what failed comes first, with its cure below it", async () => {
  const { stdout, code } = await runCli(["doctor"], {
    cwd: workspace.folder,
    settings: { ...healthy, QUEUE_URL: "redis://127.0.0.1:9" },
  });
  expect(code).toBe(2);
  expect(stdout.split("\n")[0]).toMatch(/^FAIL {2}queue +/);
  expect(stdout.split("\n")[1]).toMatch(/^ +→ /);
  expect(stdout).toMatch(/\d+ passed, \d+ to look at, 1 failed\n$/);
});
