// A log host and an API that misbehave without end: nothing that is no log is ever stored, what cannot be had is listed, and
// neither the credential nor a signed link is anywhere, in whatever the program wrote or said.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { zstdDecompressSync } from "node:zlib";

import { type Simulator, startSimulator } from "@actions-archive/github-simulator/simulator";
import { Redis } from "ioredis";
import { Client } from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";

import { askSql, listFiles } from "./support/judge.ts";
import { type Ended, runCli, type Settings } from "./support/processes.ts";
import { engineSettings, githubSettings, openWorkspace, type Workspace } from "./support/workspace.ts";

const token = "ghp_canary7c9e6679f7425040de944be07fc1f90";
const signature = "sig=c4n4ry";
const page = "<!DOCTYPE html><html><body>Service unavailable: c4n4ryPage</body></html>";

/** Each job is asked for through a fault of its own, which never ends. */
const jobs = ["good", "api-500", "html-page", "xml-page", "blob-500", "cut", "elsewhere"] as const;
type Name = (typeof jobs)[number];

const resources = new AsyncDisposableStack();
let workspace: Workspace;
let simulator: Simulator;
let settings: Settings;
let ended: Ended;
const ids = new Map<Name, number>();

function addFaults(): void {
  const idOf = (name: Name) => ids.get(name) ?? 0;
  const api = (name: Name) => ({
    origin: "api" as const,
    path: `/repos/*/actions/jobs/${idOf(name)}/logs`,
    times: "forever" as const,
  });
  const blob = (name: Name) => ({
    origin: "log" as const,
    path: `*-${idOf(name).toString(16).padStart(12, "0")}/logs/job/job-logs.txt`,
    times: "forever" as const,
  });
  const { faults } = simulator;
  faults.add({ ...api("api-500"), status: 500, body: `{"message":"Server Error ${token}"}` });
  faults.add({ ...blob("html-page"), status: 200, headers: { "content-type": "text/html; charset=utf-8" }, body: page });
  faults.add({ ...blob("xml-page"), status: 200, headers: { "content-type": "application/xml" }, body: page });
  faults.add({ ...blob("blob-500"), status: 500, body: page });
  faults.add({ ...blob("cut"), cutAfterBytes: 2_000 });
  faults.add({ ...api("elsewhere"), location: `https://logs.example.com/log?${signature}` });
}

beforeAll(async () => {
  workspace = resources.use(await openWorkspace());
  simulator = resources.use(
    await startSimulator({ scenario: "empty", credentials: [{ token }], rateLimits: { perHour: 1_000_000 } }),
  );
  const { jobIds } = simulator.control.addRun({
    repository: "octo-org/api",
    jobs: jobs.map((name) => ({ name, bytes: 30_000 })),
    completedSecondsAgo: 3_600,
  });
  jobs.forEach((name, index) => ids.set(name, jobIds[index] ?? 0));
  addFaults();
  settings = { ...githubSettings(simulator), ...(await engineSettings(workspace)), LOG_LEVEL: "trace" };
  ended = await runCli(["start", "--once", "--json"], { cwd: workspace.folder, settings });
}, 120_000);

afterAll(() => resources.disposeAsync());

const reasons: Readonly<Record<Exclude<Name, "good">, string>> = {
  "api-500": "upstream_error",
  "html-page": "upstream_error",
  "xml-page": "upstream_error",
  "blob-500": "upstream_error",
  cut: "incomplete",
  elsewhere: "redirect_refused",
};

test("what cannot be had ends as failed with its reason, in the report and in the view, and the pass with 3", async () => {
  expect(ended.code, ended.stderr).toBe(3);
  const expected = Object.entries(reasons).map(([job_name, log_reason]) => ({ job_name, log_state: "failed", log_reason }));
  const Owed = z.object({
    owed: z.array(z.object({ kind: z.literal("log_failed"), job_id: z.int(), reason: z.string(), detail: z.string() })),
  });
  const { owed } = Owed.parse(JSON.parse(ended.stdout));
  const nameOf = new Map(Array.from(ids, ([name, id]) => [id, name]));
  const listed = owed.map(({ job_id, reason }) => ({
    job_name: nameOf.get(job_id),
    log_state: "failed",
    log_reason: reason,
  }));
  expect(new Set(listed)).toEqual(new Set(expected));
  const rows = await askSql("select job_name, log_state, log_reason from jobs order by job_id", {
    cwd: workspace.folder,
    settings,
  });
  expect(rows).toEqual([{ job_name: "good", log_state: "archived", log_reason: null }, ...expected]);
});

test("an error page, or half a log, is never stored", async () => {
  const files = await listFiles(workspace.archive);
  const logs = files.filter((file) => file.endsWith(".log.zst"));
  expect(logs).toEqual([expect.stringMatching(new RegExp(`/${ids.get("good")}\\.log\\.zst$`))]);
  expect(files.filter((file) => file.startsWith("records/"))).toHaveLength(1);
});

test("a log host that was not allowed was not asked, and no log host got the credential", () => {
  const downloads = simulator.journal.entries({ origin: "log" });
  expect(downloads.length).toBeGreaterThan(10);
  expect(downloads.filter(({ hasAuthorization }) => hasAuthorization)).toEqual([]);
  expect(downloads.filter(({ url }) => url.includes(signature))).toEqual([]);
});

/** Everything that Postgres holds, one text for each row of each table. */
async function dumpDatabase(url: string): Promise<string> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    const tables = await client.query<{ name: string }>(
      "select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname not in ('pg_catalog', 'information_schema')",
    );
    const texts: string[] = [];
    for (const { name } of tables.rows) {
      const { rows } = await client.query<{ text: string }>(`select t::text as text from ${name} t`);
      texts.push(...rows.map(({ text }) => text));
    }
    return texts.join("\n");
  } finally {
    await client.end();
  }
}

/** Everything that the queue's Redis holds of this archive, events included. */
async function dumpRedis(url: string, archiveId: string): Promise<string> {
  const client = new Redis(url);
  try {
    const keys = await client.keys(`actions-archive:${archiveId}:*`);
    const values = await Promise.all(
      keys.map(async (key) => {
        const type = await client.type(key);
        if (type === "stream") return client.xrange(key, "-", "+");
        if (type === "hash") return client.hgetall(key);
        if (type === "zset") return client.zrange(key, "0", "-1");
        if (type === "list") return client.lrange(key, 0, -1);
        return client.get(key);
      }),
    );
    return JSON.stringify([keys, values]);
  } finally {
    client.disconnect();
  }
}

test("neither the credential nor a signed link is in any output, the store, the database or the queue", async () => {
  const { archive_id: archiveId } = z
    .object({ archive_id: z.string() })
    .parse(JSON.parse(await readFile(join(workspace.archive, "archive.json"), "utf8")));
  const status = await runCli(["status"], { cwd: workspace.folder, settings });
  const places: Record<string, string> = {
    stdout: ended.stdout,
    stderr: ended.stderr,
    status: status.stdout + status.stderr,
    database: await dumpDatabase(settings["DATABASE_URL"] ?? ""),
    queue: await dumpRedis(settings["QUEUE_URL"] ?? "", archiveId),
  };
  for (const file of await listFiles(workspace.folder)) {
    const bytes = await readFile(join(workspace.folder, file));
    places[file] = (file.endsWith(".zst") ? zstdDecompressSync(bytes) : bytes).toString("utf8");
  }
  // The search would find nothing in places that hold nothing.
  for (const text of [places["stderr"], places["database"], places["queue"]])
    expect(text).toContain(String(ids.get("blob-500") ?? "no id"));
  for (const [place, text] of Object.entries(places)) {
    expect(text.includes(token), `the credential in ${place}`).toBe(false);
    expect(/[?&]sig=|c4n4ry/.test(text), `a signed link or an error page in ${place}`).toBe(false);
  }
});
