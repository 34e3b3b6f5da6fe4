// Large logs that are cut on the way: they go on where they stopped, or are not had at all. The simulated log host offers parts
// as Azure's blob store does, or gets them wrong.

import { createHash } from "node:crypto";

import { createLogger } from "@actions-archive/core/logger";
import type { FaultInput } from "@actions-archive/github-simulator/http/faults";
import { startSimulator } from "@actions-archive/github-simulator/simulator";
import { expect, test } from "vitest";

import { openGitHub } from "../github.ts";
import { parseLogHosts } from "../transport/log-hosts.ts";
import { createProcessBudget } from "../transport/process-budget.ts";
import { requestJobLog } from "./job-log.ts";

const MiB = 1024 * 1024;
const repository = "octo-org/api";
const large = Buffer.alloc(
  65 * MiB,
  "2026-01-01T00:00:00.0000000Z a line of a large log, and of no two places alike 0123456789\n",
);
for (let at = 0; at < large.length - 4; at += 4096) large.writeUInt32LE(at, at);
const sha256 = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");

async function openScene(content = large) {
  await using stack = new AsyncDisposableStack();
  const simulator = stack.use(await startSimulator({ scenario: "empty" }));
  const { jobIds } = simulator.control.addRun({ repository, completedSecondsAgo: 60 });
  const job = simulator.world.jobs.get(jobIds[0] ?? 0);
  if (job === undefined) throw new Error("no job");
  job.log = { kind: "text", content };
  const github = stack.use(
    openGitHub({
      apiUrl: new URL(simulator.apiUrl),
      credentials: { kind: "token", token: simulator.token },
      logHosts: parseLogHosts(simulator.logOrigin),
      budget: createProcessBudget(),
      timeouts: { stallMs: 1_000 },
      log: createLogger("test", "silent"),
    }),
  );
  const cut = (fault: FaultInput = {}) => simulator.faults.add({ origin: "log", cutAfterBytes: 40 * MiB, ...fault });
  /** The result of one request of the log, with the hash of its bytes. */
  const read = async () => {
    const answer = await requestJobLog(github, { repository, jobId: job.id });
    if (answer.kind !== "log") throw new Error(answer.kind);
    const hash = createHash("sha256");
    for await (const chunk of answer.body) hash.update(chunk);
    return hash.digest("hex");
  };
  /** Origin, status and range of each request. */
  const asked = () => simulator.journal.entries().map(({ origin, status, headers }) => [origin, status, headers["range"]]);
  const opened = stack.move();
  return { simulator, job, cut, read, asked, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}

test("a large log that was cut is resumed over a fresh link, by a request without credential for the missing bytes", async () => {
  await using scene = await openScene();
  scene.cut();
  expect(await scene.read()).toBe(sha256(large));
  expect(scene.asked()).toEqual([
    ["api", 302, undefined],
    ["log", 200, undefined],
    ["api", 302, undefined],
    ["log", 206, `bytes=${40 * MiB}-`],
  ]);
  const rest = scene.simulator.journal.entries({ origin: "log", status: 206 })[0];
  expect(rest?.hasAuthorization).toBe(false);
  expect(rest?.headers["if-match"]).toMatch(/^"0x/);
  expect(Object.keys(rest?.headers ?? {}).toSorted()).toEqual(["accept-encoding", "connection", "host", "if-match", "range"]);
});

test("a large log that stalls is resumed, too, and so is one that is cut four times", async () => {
  await using scene = await openScene();
  scene.simulator.faults.add({ origin: "log", stallAfterBytes: 10 * MiB });
  scene.cut({ cutAfterBytes: 10 * MiB, times: 3 });
  expect(await scene.read()).toBe(sha256(large));
  expect(scene.asked().at(-1)).toEqual(["log", 206, `bytes=${40 * MiB}-`]);
});

test("a part with a Content-Encoding that encodes nothing resumes the log", async () => {
  await using scene = await openScene();
  scene.cut();
  scene.simulator.faults.add({ origin: "log", headers: { "content-encoding": "aws-chunked" } });
  expect(await scene.read()).toBe(sha256(large));
  expect(scene.asked().at(-1)).toEqual(["log", 206, `bytes=${40 * MiB}-`]);
});

test("a large log that is cut without end is given up", async () => {
  await using scene = await openScene();
  scene.cut({ cutAfterBytes: MiB, times: "forever" });
  await expect(scene.read()).rejects.toMatchObject({ code: "log/incomplete" });
  expect(scene.asked().filter(([origin]) => origin === "log")).toHaveLength(5);
});

test.each<[string, FaultInput]>([
  ["offers no ranges", { headers: { "accept-ranges": "none" } }],
  ["has a weak ETag", { headers: { etag: 'W/"0x8D"' } }],
  ["has an ETag that is none", { headers: { etag: "0x8D" } }],
  ["does not say how long the log is", { framing: "chunked" }],
])("a large log whose store %s is had again from its start", async (_, fault) => {
  await using scene = await openScene();
  scene.cut(fault);
  await expect(scene.read()).rejects.toMatchObject({ code: "log/incomplete" });
  expect(scene.asked()).toHaveLength(2);
  expect(await scene.read()).toBe(sha256(large));
});

test("a log of 64 MiB or less is had again from its start", async () => {
  const small = large.subarray(0, 64 * MiB);
  await using scene = await openScene(small);
  scene.cut();
  await expect(scene.read()).rejects.toMatchObject({ code: "log/incomplete", message: /cut after 41943040 bytes/ });
  expect(scene.asked()).toHaveLength(2);
  expect(await scene.read()).toBe(sha256(small));
});

test.each<[string, FaultInput]>([
  ["all of it", { ranges: "ignored" }],
  ["a part that begins elsewhere", { ranges: "shifted" }],
  ["a part of the right length from elsewhere", { headers: { "content-range": `bytes 0-${25 * MiB - 1}/${65 * MiB}` } }],
  ["the part of another log", { ranges: "of-another" }],
  ["a part that was encoded", { headers: { "content-encoding": "gzip" } }],
  ["a part of another length", { contentLength: "short" }],
  ["that the condition is not met", { status: 412, body: "<Error><Code>ConditionNotMet</Code></Error>" }],
  ["that the range cannot be", { status: 416, body: "<Error><Code>InvalidRange</Code></Error>" }],
  ["that the log is not there", { status: 404, body: "<Error><Code>BlobNotFound</Code></Error>" }],
  ["a redirect to a host that is not allowed", { status: 302, location: "https://evil.example/" }],
  ["an error", { status: 503 }],
])("a store that is asked for the rest and answers %s gives no log", async (_, fault) => {
  await using scene = await openScene();
  scene.cut();
  scene.simulator.faults.add({ origin: "log", ...fault });
  await expect(scene.read()).rejects.toMatchObject({ code: "log/incomplete", message: /cut after 41943040 bytes/ });
  expect(scene.asked()).toHaveLength(4);
  expect(await scene.read()).toBe(sha256(large));
});

test("a log that changed while it was cut is never made of two", async () => {
  await using scene = await openScene();
  scene.cut();
  const changed = Buffer.from(large);
  changed.writeUInt8(large.readUInt8(100) ^ 1, 100);
  const reading = scene.read();
  await scene.simulator.journal.next({ origin: "log" });
  scene.job.log = { kind: "text", content: changed };
  await expect(reading).rejects.toMatchObject({ code: "log/incomplete" });
  expect(scene.asked().at(-1)?.[1]).toBe(412);
  expect(await scene.read()).toBe(sha256(changed));
});

test("a limit that is met while asking for a fresh link is a limit, and no cut log", async () => {
  await using scene = await openScene();
  scene.cut();
  scene.simulator.faults.add({ path: "*/logs", skip: 1, status: 429, headers: { "retry-after": "30" } });
  await expect(scene.read()).rejects.toMatchObject({ code: "github/rate-limited" });
});
