// Failed downloads: an incomplete or wrong answer is never stored, is retried as often as specified, and finally recorded as
// failed.

import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

import { TransientError } from "@actions-archive/core/errors";
import type { FaultInput } from "@actions-archive/github-simulator/http/faults";
import { logSha256 } from "@actions-archive/github-simulator/log/log-content";
import { randomLog } from "@actions-archive/github-simulator/log/random-log";
import { expect, test } from "vitest";

import { type Harness, openHarness } from "../test-support/harness.ts";

const forever = { times: "forever" } as const;
const html = "<!doctype html><title>Sign in</title>";
const json = (message: string) => JSON.stringify({ message });

test.each([
  ["a body shorter than declared", { origin: "log", contentLength: "long" }, "incomplete"],
  ["a body that is cut", { origin: "log", cutAfterBytes: 1_000 }, "incomplete"],
  ["a body that is cut in chunks", { origin: "log", framing: "chunked", cutAfterBytes: 1_000 }, "incomplete"],
  ["a body that stalls", { origin: "log", stallAfterBytes: 1_000 }, "incomplete"],
  ["a body without framing", { origin: "log", framing: "close" }, "incomplete"],
  ["a connection that is reset", { origin: "log", reset: true }, "upstream_error"],
  [
    "400 of the log host",
    { origin: "log", status: 400, body: "<Error><Code>InvalidAuthenticationInfo</Code></Error>" },
    "upstream_error",
  ],
  [
    "403 of the log host",
    { origin: "log", status: 403, body: "<Error><Code>AuthenticationFailed</Code></Error>" },
    "upstream_error",
  ],
  ["503 of the log host", { origin: "log", status: 503, body: "<Error><Code>ServerBusy</Code></Error>" }, "upstream_error"],
  ["a 404 of the log host that is not the blob's", { origin: "log", status: 404, body: html }, "upstream_error"],
  [
    "an HTML page of the log host with 200",
    { origin: "log", headers: { "content-type": "text/html" }, body: html },
    "upstream_error",
  ],
  [
    "XML of the log host with 200",
    { origin: "log", headers: { "content-type": "application/xml" }, body: "<Error/>" },
    "upstream_error",
  ],
  ["502 of the API", { path: "*/logs", status: 502, body: html }, "upstream_error"],
  ["an HTML page of the API with 200", { path: "*/logs", status: 200, body: html }, "upstream_error"],
  ["a 404 of the API that is not GitHub's", { path: "*/logs", status: 404, body: html }, "upstream_error"],
  ["a 410 of the API that is not GitHub's", { path: "*/logs", status: 410, body: html }, "upstream_error"],
  ["a redirect without a link", { path: "*/logs", status: 302 }, "upstream_error"],
] satisfies [string, FaultInput, string][])("%s is retried, finally failed, and never stored", async (_answer, fault, reason) => {
  await using harness = await openHarness();
  const job = await harness.addJob({ bytes: 20_000 });
  const scripted = harness.simulator.faults.add({ ...fault, ...forever });
  await expect(harness.deliver(job)).rejects.toThrow(TransientError);
  expect(await harness.stateOf(job)).toMatchObject({ log_state: "pending", log_reason: null });
  await harness.deliver(job, { isLastAttempt: true });
  const state = await harness.stateOf(job);
  expect(state).toMatchObject({ log_state: "failed", log_reason: reason });
  expect(state.log_detail).toMatch(/\w/);
  expect(state.due).toBeGreaterThan(80_000);
  expect(await harness.listKeys("logs/")).toEqual([]);
  expect(await harness.listKeys("records/")).toEqual([]);
  expect(harness.worker.spool.reservedBytes).toBe(0);

  harness.simulator.faults.clear(scripted.id);
  await harness.deliver(job);
  expect((await harness.recordOf(job))?.log).toMatchObject({ state: "archived", raw_sha256: await logSha256(job) });
});

test("a body longer than declared is not stored", async () => {
  await using harness = await openHarness();
  const job = await harness.addJob({ bytes: 20_000 });
  harness.simulator.faults.add({ origin: "log", contentLength: "short" });
  await harness.deliver(job, { isLastAttempt: true }).catch(() => undefined);
  const log = (await harness.recordOf(job))?.log;
  // An HTTP client reads no more than the declared length: that part lacks its end and is downloaded once more.
  expect(log).toBeUndefined();
  await harness.deliver(job);
  expect((await harness.recordOf(job))?.log).toMatchObject({ raw_sha256: await logSha256(job) });
});

test.each([400, 403])("after %i of the log host a new link is requested", async (status) => {
  await using harness = await openHarness();
  const job = await harness.addJob();
  harness.simulator.faults.add({ origin: "log", status, body: "<Error/>" });
  await expect(harness.deliver(job)).rejects.toMatchObject({ code: "log/upstream-error" });
  await harness.deliver(job);
  expect(harness.requests().map((path) => path.split(" ")[0])).toEqual(["api", "log", "api", "log"]);
  expect((await harness.recordOf(job))?.log).toMatchObject({ state: "archived" });
});

test("an expired link is not a missing log", async () => {
  await using harness = await openHarness({ simulator: { linkLifetimeSeconds: 0 } });
  const job = await harness.addJob();
  await expect(harness.deliver(job)).rejects.toMatchObject({ code: "log/upstream-error" });
  await harness.deliver(job, { isLastAttempt: true });
  expect(await harness.stateOf(job)).toMatchObject({ log_state: "failed", log_reason: "upstream_error" });
});

test.each([
  ["declared", {}],
  ["counted", { framing: "chunked" as const }],
])("a log over MAX_LOG_BYTES, as %s, is too large at once, and is only retried on request", async (_how, fault) => {
  await using harness = await openHarness({ settings: { MAX_LOG_BYTES: 100_000 } });
  const job = await harness.addJob({ bytes: 300_000 });
  harness.simulator.faults.add({ origin: "log", ...fault });
  await harness.deliver(job);
  expect(await harness.stateOf(job)).toMatchObject({ log_state: "failed", log_reason: "too_large", due: Infinity });
  expect(await harness.listKeys("logs/")).toEqual([]);
  expect(harness.worker.spool.reservedBytes).toBe(0);
});

test("a log of exactly MAX_LOG_BYTES is archived", async () => {
  await using harness = await openHarness({ settings: { MAX_LOG_BYTES: 1_000 } });
  const job = await harness.addJob();
  job.log = { kind: "text", content: randomLog(job, 1_000) };
  await harness.deliver(job);
  expect((await harness.recordOf(job))?.log).toMatchObject({ state: "archived", raw_bytes: 1_000 });
});

test.each([
  "https://evil.example/log",
  "http://169.254.169.254/latest/meta-data",
  "http://127.0.0.1:1/log",
  "file:///etc/passwd",
])("a redirect to %s is refused at once and never followed", async (location) => {
  await using harness = await openHarness();
  const job = await harness.addJob();
  harness.simulator.faults.add({ path: "*/logs", location, ...forever });
  await harness.deliver(job);
  expect(await harness.stateOf(job)).toMatchObject({ log_state: "failed", log_reason: "redirect_refused" });
  expect(await harness.listKeys("logs/")).toEqual([]);
});

test("a redirect of the log host to a foreign host is refused", async () => {
  await using harness = await openHarness();
  const job = await harness.addJob();
  harness.simulator.faults.add({ origin: "log", status: 302, location: "http://169.254.169.254/" });
  await harness.deliver(job);
  expect(await harness.stateOf(job)).toMatchObject({ log_state: "failed", log_reason: "redirect_refused" });
});

test.each([
  ["primary", { status: 403, headers: { "x-ratelimit-remaining": "0" }, body: json("API rate limit exceeded for user ID 1.") }],
  ["secondary", { status: 403, body: json("You have exceeded a secondary rate limit.") }],
  ["bare", { status: 429, headers: { "retry-after": "30" }, body: json("slow down") }],
])(
  "a %s rate limit returns the job to the queue and leaves the log unchanged, even at the last attempt",
  async (_kind, fault) => {
    await using harness = await openHarness();
    const job = await harness.addJob();
    const before = await harness.stateOf(job);
    harness.simulator.faults.add({ path: "*/logs", ...fault });
    await expect(harness.deliver(job, { isLastAttempt: true })).rejects.toMatchObject({ code: "github/rate-limited" });
    expect(await harness.stateOf(job)).toMatchObject({ ...before, due: expect.closeTo(before.due, -1) as number });
    harness.simulator.control.clearJournal({});
    await expect(harness.deliver(job)).rejects.toMatchObject({ code: "github/rate-limited" });
    expect(harness.requests()).toEqual([]);
  },
);

test("logs that do not fit into the spool together are archived one after the other, each requested at most twice", async () => {
  await using harness = await openHarness({ spoolBytes: 20_000 });
  const jobs = [];
  for (let count = 0; count < 8; count++) jobs.push(await harness.addJob({ bytes: 600_000 }));
  // Without a declared length no space is reserved: the files grow until one is refused.
  harness.simulator.faults.add({ origin: "log", framing: "chunked", ...forever });
  await Promise.all(jobs.map((job) => harness.deliver(job)));
  for (const job of jobs) {
    expect((await harness.recordOf(job))?.log).toMatchObject({ state: "archived", raw_sha256: await logSha256(job) });
  }
  const downloads = harness.requests().filter((path) => path.startsWith("log ")).length;
  expect(downloads).toBeGreaterThan(8);
  expect(downloads).toBeLessThanOrEqual(16);
  expect(harness.worker.spool.reservedBytes).toBe(0);
});

test("a log that was refused for space runs next, and later logs wait for it", async () => {
  await using harness = await openHarness({ spoolBytes: 500_000 });
  const [first, refused, later] = [
    await harness.addJob({ bytes: 300_000 }),
    await harness.addJob({ bytes: 400_000 }),
    await harness.addJob({ bytes: 1_000 }),
  ];
  harness.simulator.faults.add({ origin: "log", stallAfterBytes: 100_000 });
  const stop = new AbortController();
  const stalled = harness.deliver(first, { signal: stop.signal });
  await expect.poll(() => harness.worker.spool.reservedBytes).toBe(300_000);
  const waiting = harness.deliver(refused);
  await expect.poll(() => harness.requests().length).toBe(4);
  await expect.poll(() => logLeasesOf(harness)).toEqual([first.id]);
  const last = harness.deliver(later);
  stop.abort(new Error("shutting down"));
  await expect(stalled).rejects.toThrow("shutting down");
  await Promise.all([waiting, last]);
  const order = harness.simulator.journal
    .entries({ origin: "api", url: "/logs" })
    .map(({ url }) => Number(url.split("/").at(-2)));
  expect(order).toEqual([first.id, refused.id, refused.id, later.id]);
  for (const job of [refused, later]) expect((await harness.recordOf(job))?.log).toMatchObject({ state: "archived" });
});

/** Jobs with a lease on their logs. */
async function logLeasesOf(harness: Harness): Promise<number[]> {
  const rows = await harness.query(
    "select job_id::float8 as id from archive.log_leases where worker is not null order by job_id",
  );
  return rows.map(({ id }) => Number(id));
}

test.skipIf(process.platform !== "linux" || process.getuid?.() !== 0)(
  "a full disk defers the log, even at the last attempt, and leaves nothing behind (Linux and root only: it mounts a small disk)",
  async () => {
    await using disk = await mountDisk("5m");
    await using harness = await openHarness({ spoolDir: disk.path });
    const job = await harness.addJob({ log: { kind: "text", content: randomBytes(9_000_000) } });
    await harness.deliver(job, { isLastAttempt: true });
    expect(await harness.stateOf(job)).toMatchObject({ log_state: "pending", log_reason: null });
    expect((await harness.stateOf(job)).due).toBeGreaterThan(0);
    expect(await readdir(disk.path)).toEqual([]);
    expect(harness.worker.spool.reservedBytes).toBe(0);
  },
);

async function mountDisk(size: string): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "actions-archive-disk-"));
  await promisify(execFile)("mount", ["-t", "tmpfs", "-o", `size=${size}`, "tmpfs", path]);
  return {
    path,
    async [Symbol.asyncDispose]() {
      await promisify(execFile)("umount", [path]);
      await rm(path, { recursive: true });
    },
  };
}

test("a worker that is aborted within a log leaves nothing behind", async () => {
  await using harness = await openHarness();
  const job = await harness.addJob({ bytes: 200_000 });
  harness.simulator.faults.add({ origin: "log", stallAfterBytes: 100_000 });
  const stop = new AbortController();
  const delivery = harness.deliver(job, { isLastAttempt: true, signal: stop.signal });
  await expect.poll(() => harness.requests().length).toBe(2);
  stop.abort(new Error("shutting down"));
  await expect(delivery).rejects.toThrow("shutting down");
  expect(await harness.stateOf(job)).toMatchObject({ log_state: "pending", log_reason: null, tries: 0 });
  expect(await harness.listKeys("logs/")).toEqual([]);
  expect(harness.worker.spool.reservedBytes).toBe(0);
});
