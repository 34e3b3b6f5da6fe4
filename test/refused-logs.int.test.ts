// A misbehaving log host and API: no object is stored that is not a log, unavailable logs are listed, and neither the credential nor a
// signed link appears in anything that the program writes.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { zstdDecompressSync } from "node:zlib";

import type { FaultInput } from "@actions-archive/github-simulator/http/faults";
import { type Simulator, startSimulator } from "@actions-archive/github-simulator/simulator";
import { listFiles } from "@actions-archive/testkit/invariants/object-source";
import { Redis } from "ioredis";
import { Client } from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";

import { askSql } from "./support/ask-sql.ts";
import { type Ended, runCli, type Settings } from "./support/processes.ts";
import { engineSettings, githubSettings, openWorkspace, type Workspace } from "./support/workspace.ts";

const token = "ghp_canary7c9e6679f7425040de944be07fc1f90";
const signature = "sig=c4n4ry";
const page = "<!DOCTYPE html><html><body>Service unavailable: c4n4ryPage</body></html>";
const xml = (code: string) =>
  `<?xml version="1.0" encoding="utf-8"?><Error><Code>${code}</Code><Message>c4n4ry</Message></Error>`;

type Reason = "upstream_error" | "incomplete" | "redirect_refused" | "too_large" | "deleted";
/** Where GitHub's answer redirects to, and the state of the log. `logs` stands for the log host's origin. */
type Row = readonly [name: string, fault: FaultInput & { readonly at: "api" | "blob" }, reason: Reason];

const redirectTo = (location: string) => ({ at: "api", location }) as const;
const answer = (status: number, body: string, headers: Record<string, string> = {}) =>
  ({ at: "blob", status, body, headers }) as const;
const spoil = (fault: FaultInput) => ({ at: "blob", ...fault }) as const;
const link = `x?${signature}`;

/** Each job's requests have a permanent fault. */
const hostile: readonly Row[] = [
  ["a host that is not configured", redirectTo(`https://logs.example.com/${link}`), "redirect_refused"],
  ["a host similar to GitHub's", redirectTo(`https://a.blob.core.windows.net.example/${link}`), "redirect_refused"],
  ["the same address under another name", redirectTo(`http://localhost:PORT/${link}`), "redirect_refused"],
  ["another port", redirectTo(`http://127.0.0.1:1/${link}`), "redirect_refused"],
  ["another scheme", redirectTo(`https://127.0.0.1:PORT/${link}`), "redirect_refused"],
  ["a user and a password", redirectTo(`http://c4n4ry:c4n4ry@127.0.0.1:PORT/${link}`), "redirect_refused"],
  ["the cloud's metadata service", redirectTo(`http://169.254.169.254/latest/${link}`), "redirect_refused"],
  ["the metadata service in IPv6", redirectTo(`http://[fd00:ec2::254]/latest/${link}`), "redirect_refused"],
  ["a private address", redirectTo(`https://10.0.0.1/${link}`), "redirect_refused"],
  ["a private address as a number", redirectTo(`https://2130706433/${link}`), "redirect_refused"],
  ["a private address inside IPv6", redirectTo(`https://[::ffff:10.0.0.1]/${link}`), "redirect_refused"],
  ["a private address behind NAT64", redirectTo(`https://[64:ff9b::a00:1]/${link}`), "redirect_refused"],
  ["a file", redirectTo(`file:///etc/passwd?${signature}`), "redirect_refused"],
  ["the API itself", redirectTo(`/repos/octo-org/api/secret?${signature}`), "redirect_refused"],
  ["no URL", redirectTo(`http://[c4n4ry?${signature}`), "upstream_error"],
  ["nowhere", { at: "api", status: 302 }, "upstream_error"],
  ["a forged link", redirectTo(`http://127.0.0.1:PORT/${link}`), "upstream_error"],
  ["a second host that is not configured", spoil({ status: 302, location: `https://evil.example/${link}` }), "redirect_refused"],
  ["itself, without end", spoil({ status: 302, location: `?${signature}` }), "redirect_refused"],
  ["a second time nowhere", spoil({ status: 307 }), "upstream_error"],
  ["a page with status 200", answer(200, page, { "content-type": "text/html; charset=utf-8" }), "upstream_error"],
  ["an XML error with status 200", answer(200, xml("InternalError"), { "content-type": "application/xml" }), "upstream_error"],
  ["a body that was encoded unasked", spoil({ headers: { "content-encoding": "gzip" } }), "upstream_error"],
  [
    "a part that was not requested",
    spoil({ headers: { "content-range": "bytes 0-9/10" }, status: 206, body: "c4n4ryPart" }),
    "upstream_error",
  ],
  ["400 of Azure", answer(400, xml("InvalidAuthenticationInfo")), "upstream_error"],
  ["403 of Azure", answer(403, xml("AuthenticationFailed")), "upstream_error"],
  ["404 of a proxy", answer(404, page), "upstream_error"],
  ["404 of a whole container", answer(404, xml("ContainerNotFound")), "upstream_error"],
  ["404 of the blob", answer(404, xml("BlobNotFound")), "deleted"],
  ["410 of the log host", answer(410, page), "upstream_error"],
  ["429 of the log host", answer(429, page), "upstream_error"],
  ["500 of the log host", answer(500, page), "upstream_error"],
  ["a connection that is reset", spoil({ reset: true }), "upstream_error"],
  ["a body that is cut", spoil({ cutAfterBytes: 2_000 }), "incomplete"],
  ["a body that is shorter than it says", spoil({ contentLength: "long" }), "incomplete"],
  ["a body that is cut between its chunks", spoil({ framing: "chunked", cutAfterBytes: 2_000 }), "incomplete"],
  ["a body without framing", spoil({ framing: "close" }), "incomplete"],
  ["a body without an end", spoil({ endless: true }), "incomplete"],
  ["a length beyond every cap", spoil({ contentLength: 3_000_000_000 }), "too_large"],
  ["500 of the API", { at: "api", status: 500, body: `{"message":"Server Error ${token}"}` }, "upstream_error"],
  ["a page of the API", { at: "api", status: 200, body: page }, "upstream_error"],
  ["404 of a proxy before the API", { at: "api", status: 404, body: page }, "upstream_error"],
  ["410 of a proxy before the API", { at: "api", status: 410, body: page }, "upstream_error"],
];

const resources = new AsyncDisposableStack();
let workspace: Workspace;
let simulator: Simulator;
let settings: Settings;
let ended: Ended;
const ids = new Map<string, number>();
const names = ["good", ...hostile.map(([name]) => name)];

function addFaults(): void {
  const port = new URL(simulator.logOrigin).port;
  for (const [name, { at, ...fault }] of hostile) {
    const id = ids.get(name) ?? 0;
    const path =
      at === "api" ? `/repos/*/actions/jobs/${id}/logs` : `*-${id.toString(16).padStart(12, "0")}/logs/job/job-logs.txt`;
    const location = fault.location === undefined ? {} : { location: fault.location.replace("PORT", port) };
    simulator.faults.add({ ...fault, ...location, origin: at === "api" ? "api" : "log", path, times: "forever" });
  }
}

beforeAll(async () => {
  workspace = resources.use(await openWorkspace());
  simulator = resources.use(
    await startSimulator({ scenario: "empty", credentials: [{ token }], rateLimits: { perHour: 1_000_000 } }),
  );
  const { jobIds } = simulator.control.addRun({
    repository: "octo-org/api",
    jobs: names.map((name) => ({ name, bytes: 30_000 })),
    completedSecondsAgo: 3_600,
  });
  names.forEach((name, index) => ids.set(name, jobIds[index] ?? 0));
  addFaults();
  settings = { ...githubSettings(simulator), ...(await engineSettings(workspace)), LOG_LEVEL: "trace" };
  ended = await runCli(["start", "--once", "--json"], { cwd: workspace.folder, settings });
});

afterAll(() => resources.disposeAsync());

test("each of thirty hostile redirects and bodies, and more, has its outcome, and the pass ends with 3", async () => {
  expect(ended.code, ended.stderr).toBe(3);
  expect(hostile.length).toBeGreaterThan(30);
  const expected = hostile.map(([job_name, , log_reason]) => ({
    job_name,
    log_state: log_reason === "deleted" ? "absent" : "failed",
    log_reason,
  }));
  const rows = await askSql("select job_name, log_state, log_reason from jobs order by job_id", {
    cwd: workspace.folder,
    settings,
  });
  expect(rows).toEqual([{ job_name: "good", log_state: "archived", log_reason: null }, ...expected]);
  const Owed = z.object({
    owed: z.array(z.object({ kind: z.literal("log_failed"), job_id: z.int(), reason: z.string(), detail: z.string().min(10) })),
  });
  const { owed } = Owed.parse(JSON.parse(ended.stdout));
  const listed = new Map(owed.map(({ job_id, reason }) => [job_id, reason]));
  const failed = hostile.filter(([, , reason]) => reason !== "deleted");
  expect(listed).toEqual(new Map(failed.map(([name, , reason]) => [ids.get(name), reason])));
});

test("an error page, or half a log, is never stored", async () => {
  const files = await listFiles(workspace.archive);
  const logs = files.filter((file) => file.endsWith(".log.zst"));
  expect(logs).toEqual([expect.stringMatching(new RegExp(`/${ids.get("good")}\\.log\\.zst$`))]);
  const absent = hostile.filter(([, , reason]) => reason === "deleted").length;
  expect(files.filter((file) => file.startsWith("records/"))).toHaveLength(1 + absent);
});

test("a log host that was not allowed was not asked, and no log host got the credential", () => {
  const downloads = simulator.journal.entries({ origin: "log" });
  expect(downloads.length).toBeGreaterThan(10);
  expect(downloads.filter(({ hasAuthorization }) => hasAuthorization)).toEqual([]);
  // Three of them redirect back to the allowed host.
  const forged = downloads.filter(({ url }) => url.includes(signature));
  expect(new Set(forged.map(({ url, status }) => `${url.split("?")[1]} ${status}`))).toEqual(
    new Set([`${signature} 403`, `${signature} 302`]),
  );
});

/** @returns all of Postgres, as one text for each row of each table. */
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

/** @returns all that Redis holds of this archive, including events. */
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
  // A search of empty places would prove nothing.
  for (const text of [places["stderr"], places["database"], places["queue"]])
    expect(text).toContain(String(ids.get("500 of the log host") ?? "no id"));
  for (const [place, text] of Object.entries(places)) {
    expect(text.includes(token), `the credential in ${place}`).toBe(false);
    expect(/[?&]sig=|c4n4ry/.test(text), `a signed link or an error page in ${place}`).toBe(false);
  }
});
