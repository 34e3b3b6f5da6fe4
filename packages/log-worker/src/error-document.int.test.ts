// Bodies with status 200 that are no logs: an error document is never archived, and a body without timestamps only after two
// equal answers.

import { logSha256 } from "@actions-archive/github-simulator/log/log-content";
import { expect, test } from "vitest";

import { openHarness } from "../test-support/harness.ts";

const stamp = "2026-11-01T10:00:00.1234567Z";

const documents: [string, string, string][] = [
  ["JSON as text/plain", "text/plain", `{"message":"Server Error","status":"500"}`],
  ["JSON as JSON", "application/json", `{"message":"Server Error"}\n`],
  ["a JSON array", "text/plain", `["too busy"]`],
  ["JSON after a BOM", "text/plain", `\uFEFF{"message":"Server Error"}`],
  ["JSON after blank lines", "text/plain", `\n\n  {"message":\n"Server Error"}`],
  ["HTML as text/plain", "text/plain", "<!DOCTYPE html>\n<html><body>Sign in</body></html>\n"],
  ["HTML without a doctype", "text/plain", "<html>\n<h1>502</h1>\n"],
  ["XML as bytes", "application/octet-stream", "<?xml version='1.0'?><Error><Code>ServerBusy</Code></Error>"],
  ["XML without a declaration", "text/plain", "<Error><Code>ServerBusy</Code></Error>"],
  ["a page only by its type", "text/html; charset=utf-8", "Please sign in"],
  ["an empty page", "text/html", ""],
];

test.each(documents)("an error document with status 200 is never archived: %s", async (_what, type, body) => {
  await using harness = await openHarness();
  const job = await harness.addJob();
  harness.simulator.faults.add({ origin: "log", status: 200, headers: { "content-type": type }, body, times: 3 });
  await expect(harness.deliver(job)).rejects.toMatchObject({ code: "log/upstream-error" });
  await expect(harness.deliver(job)).rejects.toMatchObject({ code: "log/upstream-error" });
  await harness.deliver(job, { isLastAttempt: true });
  expect(await harness.stateOf(job)).toMatchObject({ log_state: "failed", log_reason: "upstream_error" });
  expect(await harness.listKeys("logs/")).toEqual([]);
  await harness.deliver(job);
  expect((await harness.recordOf(job))?.log).toMatchObject({ state: "archived", flags: [], raw_sha256: await logSha256(job) });
});

test.each([
  ["begins with JSON", `{"a":1}\n${stamp} line\n`, "text/plain"],
  ["begins like HTML", `<html>\n${stamp} </html>\n`, "text/plain"],
  ["has the type of a page", `${stamp} line\n`, "text/html"],
  ["has the type of JSON", `${stamp} {"a":1}\n`, "application/json"],
])("a log whose lines have timestamps is archived, even one that %s", async (_how, body, type) => {
  await using harness = await openHarness();
  const job = await harness.addJob({ overrides: { completed_at: "2026-11-01T10:00:00Z" } });
  harness.simulator.faults.add({ origin: "log", status: 200, headers: { "content-type": type }, body });
  await harness.deliver(job);
  expect((await harness.recordOf(job))?.log).toMatchObject({
    state: "archived",
    flags: [],
    lines: body.trim().split("\n").length,
  });
});

const sentence = { origin: "log", status: 200, headers: { "content-type": "text/plain" } } as const;

test("a body without timestamps is retried, and the true log is archived", async () => {
  await using harness = await openHarness();
  const job = await harness.addJob();
  harness.simulator.faults.add({ ...sentence, body: "The upstream server is busy." });
  await harness.deliver(job);
  const { due, ...state } = await harness.stateOf(job);
  expect(state).toMatchObject({ log_state: "pending", log_detail: expect.stringContaining("timestamp") });
  expect(Math.abs(due - 60)).toBeLessThan(10);
  expect(await harness.listKeys("logs/")).toEqual([]);
  await harness.deliver(job);
  expect((await harness.recordOf(job))?.log).toMatchObject({ state: "archived", flags: [], raw_sha256: await logSha256(job) });
});

test("a body without timestamps is archived with a flag after two equal answers", async () => {
  await using harness = await openHarness();
  const job = await harness.addJob();
  harness.simulator.control.setLog({ jobId: job.id, text: "no line here has a time\nnor has this one\n" });
  await harness.deliver(job);
  expect(await harness.listKeys("logs/")).toEqual([]);
  harness.simulator.control.advanceClock({ ms: 60_000 });
  await harness.deliver(job);
  expect((await harness.recordOf(job))?.log).toMatchObject({ state: "archived", flags: ["no_timestamps"], lines: 2 });
});

test("a body without timestamps archived during an outage is superseded by the log once it is available", async () => {
  await using harness = await openHarness();
  const job = await harness.addJob();
  harness.simulator.faults.add({ ...sentence, body: "The upstream server is busy.", times: 3 });
  await harness.deliverTwice(job);
  expect((await harness.recordOf(job))?.log).toMatchObject({ state: "archived", flags: ["no_timestamps"] });
  const recheck = async () => {
    await harness.query("update archive.log_jobs set log_state = 'archived', decided_at = now(), recheck_at = now()");
    await harness.deliver(job);
    const [row] = await harness.query(
      "select round(extract(epoch from recheck_at - now()) / 3600)::int as hours from archive.log_jobs",
    );
    return row?.["hours"];
  };
  expect(await recheck()).toBe(24);
  expect(await harness.listKeys("records/")).toHaveLength(1);
  await recheck();
  expect((await harness.recordOf(job))?.log).toMatchObject({
    state: "archived",
    flags: ["changed_since"],
    raw_sha256: await logSha256(job),
  });
  expect(await harness.listKeys("logs/")).toHaveLength(2);
});

test("differing bodies without timestamps are not archived and fail in the end", async () => {
  await using harness = await openHarness();
  const job = await harness.addJob();
  const serve = (request: number) => harness.simulator.faults.add({ ...sentence, body: `Busy. This was request ${request}.` });
  serve(1);
  await harness.deliver(job);
  for (const request of [2, 3]) {
    serve(request);
    harness.simulator.control.advanceClock({ ms: 60_000 });
    await expect(harness.deliver(job)).rejects.toMatchObject({ code: "log/upstream-error" });
  }
  serve(4);
  await harness.deliver(job, { isLastAttempt: true });
  expect(await harness.stateOf(job)).toMatchObject({ log_state: "failed", log_reason: "upstream_error" });
  expect(await harness.listKeys("logs/")).toEqual([]);
  await harness.deliver(job);
  expect((await harness.recordOf(job))?.log).toMatchObject({ state: "archived", flags: [] });
});

test("a large body without timestamps is neither buffered nor parsed", async () => {
  await using harness = await openHarness();
  const job = await harness.addJob();
  harness.simulator.control.setLog({ jobId: job.id, text: `{"message":"${"x".repeat(2 * 1024 * 1024)}"}` });
  await harness.deliver(job);
  harness.simulator.control.advanceClock({ ms: 60_000 });
  await harness.deliver(job);
  expect((await harness.recordOf(job))?.log).toMatchObject({ state: "archived", flags: ["no_timestamps"] });
});
