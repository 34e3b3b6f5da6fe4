// A single answer decides nothing: a 404, zero bytes or an early 410 must be repeated before a log is absent.

import { expect, test } from "vitest";

import { type Harness, openHarness, repositoryName } from "../test-support/harness.ts";

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;

const notFound = { status: 404, body: `{"message":"Not Found"}` };
const gone = { path: "*/logs", status: 410, body: `{"message":"Server Error"}` };

type Job = Awaited<ReturnType<Harness["addJob"]>>;

async function logReasonOf({ recordOf }: Harness, job: Job): Promise<string | undefined> {
  const log = (await recordOf(job))?.log;
  return log?.state === "absent" ? log.reason : log?.state;
}

/** Advances GitHub's clock and delivers the job again. */
async function deliverLater(harness: Harness, job: Job, ms: number): Promise<void> {
  harness.simulator.control.advanceClock({ ms });
  await harness.deliver(job);
}

test.each([
  ["404", { path: "*/logs", ...notFound }],
  ["BlobNotFound", { origin: "log", status: 404, body: "<Error><Code>BlobNotFound</Code></Error>" }],
  ["zero bytes", { origin: "log", status: 200, headers: { "content-type": "text/plain" }, body: "" }],
] as const)("a single %s after the wait is retried a minute later, and the log is archived", async (_what, fault) => {
  await using harness = await openHarness();
  const job = await harness.addJob();
  harness.simulator.faults.add(fault);
  await harness.deliver(job);
  const { due, ...state } = await harness.stateOf(job);
  expect(state).toMatchObject({ log_state: "pending", log_detail: expect.stringContaining("retried") });
  expect(Math.abs(due - 60)).toBeLessThan(10);
  await deliverLater(harness, job, minute);
  expect(await logReasonOf(harness, job)).toBe("archived");
});

test.each([
  ["deleted", { kind: "not-found" }],
  ["deleted", { kind: "blob-missing" }],
  ["empty", { kind: "text", content: Buffer.alloc(0) }],
] as const)("a log is %s once two answers a minute apart agree, and not before (%j)", async (reason, log) => {
  await using harness = await openHarness();
  const job = await harness.addJob({ log });
  await harness.deliver(job);
  await deliverLater(harness, job, 30_000);
  expect(await logReasonOf(harness, job)).toBeUndefined();
  await deliverLater(harness, job, 30_000);
  expect(await logReasonOf(harness, job)).toBe(reason);
});

test("a different answer in between restarts the wait", async () => {
  await using harness = await openHarness();
  const job = await harness.addJob({ log: { kind: "not-found" } });
  await harness.deliver(job);
  harness.simulator.faults.add({ origin: "api", ...gone });
  await deliverLater(harness, job, minute);
  await deliverLater(harness, job, minute);
  expect(await logReasonOf(harness, job)).toBeUndefined();
  await deliverLater(harness, job, minute);
  expect(await logReasonOf(harness, job)).toBe("deleted");
});

test("404s that came before the wait was over count as first answers", async () => {
  await using harness = await openHarness();
  const job = await harness.addJob({ agoMs: 20_000, log: { kind: "not-found" } });
  await harness.deliver(job);
  await deliverLater(harness, job, 700_000);
  expect(await logReasonOf(harness, job)).toBe("deleted");
});

test("an hour of 404 for every request about jobs makes no log deleted", async () => {
  await using harness = await openHarness();
  const job = await harness.addJob();
  harness.simulator.faults.add({ path: "*/actions/jobs/*", ...notFound, times: "forever" });
  for (const ms of [0, minute, 10 * minute, 49 * minute]) await deliverLater(harness, job, ms);
  const { due, ...state } = await harness.stateOf(job);
  expect(state).toMatchObject({ log_state: "pending", log_detail: expect.stringContaining("404") });
  expect(due).toBeGreaterThan(30 * 60);
  harness.simulator.faults.clear();
  await harness.deliver(job);
  expect(await logReasonOf(harness, job)).toBe("archived");
});

test("a job that is still not found a day later was deleted", async () => {
  await using harness = await openHarness();
  const job = await harness.addJob();
  harness.simulator.control.deleteRun({ runId: job.run.id });
  await harness.deliver(job);
  await deliverLater(harness, job, 23 * hour);
  expect(await logReasonOf(harness, job)).toBeUndefined();
  await deliverLater(harness, job, hour);
  expect(await logReasonOf(harness, job)).toBe("deleted");
});

test("a job that never ran needs no second answer for its log: the job itself confirms it", async () => {
  await using harness = await openHarness();
  const job = await harness.addJob({ isWithoutRunner: true, conclusion: "cancelled", labels: ["ubuntu-24.04"] });
  await harness.deliver(job);
  expect(await logReasonOf(harness, job)).toBe("not_run");
  const path = `api /repos/${repositoryName}/actions/jobs/${job.id}`;
  expect(harness.requests()).toEqual([`${path}/logs`, path]);
});

test("a single 410 for a young log is retried within seconds, records its cause, and sets no retention", async () => {
  await using harness = await openHarness();
  const job = await harness.addJob({ agoMs: 5 * day });
  harness.simulator.faults.add(gone);
  await harness.deliver(job);
  const { due, ...state } = await harness.stateOf(job);
  expect(state).toMatchObject({ log_state: "pending", log_reason: null });
  expect(state.log_detail).toMatch(
    /^GitHub answered 410 for a log that is 5 days old, while logs are kept for 90 days; .* until \d{4}-.*Z$/,
  );
  expect(Math.abs(due - 10)).toBeLessThan(5);
  expect(await harness.query("select youngest_gone_seconds as age from archive.repositories")).toEqual([{ age: null }]);
  await deliverLater(harness, job, 5 * minute);
  expect(await logReasonOf(harness, job)).toBe("archived");
});

test("a second 410 a day after the first means expired, an earlier one does not, and the delay between them grows", async () => {
  await using harness = await openHarness();
  const job = await harness.addJob({ agoMs: 5 * day, log: { kind: "expired" } });
  const dues: number[] = [];
  for (const ms of [0, 5 * minute, 55 * minute, 22 * hour]) {
    await deliverLater(harness, job, ms);
    dues.push(Math.round((await harness.stateOf(job)).due / 60));
  }
  expect(dues).toEqual([0, 10, 60, 60]);
  expect(await logReasonOf(harness, job)).toBeUndefined();
  await deliverLater(harness, job, hour);
  expect(await logReasonOf(harness, job)).toBe("expired");
});

test.each([
  ["GitHub's 90 days", "log_retention_days = null", 82, "expired"],
  ["GitHub's 90 days", "log_retention_days = null", 80, undefined],
  ["the endpoint's answer", "log_retention_days = 10", 10, "expired"],
  ["the endpoint's answer", "log_retention_days = 10", 8, undefined],
  ["two confirmed 410s", "youngest_gone_seconds = 864000", 10, "expired"],
])("a 410 means expired at once from nine tenths of %s on (%s, %i days)", async (_what, facts, days, reason) => {
  await using harness = await openHarness();
  await harness.query(`update archive.repositories set ${facts}`);
  const job = await harness.addJob({ agoMs: days * day, log: { kind: "expired" } });
  await harness.deliver(job);
  expect(await logReasonOf(harness, job)).toBe(reason);
});

test("the retention follows from two jobs with confirmed 410s, not from one", async () => {
  await using harness = await openHarness();
  const jobs = [];
  for (const days of [2, 30, 31]) jobs.push(await harness.addJob({ agoMs: days * day, log: { kind: "expired" } }));
  const learnt = async () => {
    const [row] = await harness.query("select youngest_gone_seconds as seconds from archive.repositories");
    return row?.["seconds"] === null ? null : Math.round(Number(row?.["seconds"]) / 86_400);
  };
  for (const job of jobs) await harness.deliver(job);
  harness.simulator.control.advanceClock({ ms: day });
  const after = [await learnt()];
  for (const job of jobs) {
    await harness.deliver(job);
    after.push(await learnt());
  }
  expect(after).toEqual([null, null, 30, 30]);
});
