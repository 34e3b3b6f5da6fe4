// An available log is archived unchanged and once, and flagged in case of doubt.

import { readLogContent } from "@actions-archive/archive/log/logs";
import { conflictingLogKey, logKey } from "@actions-archive/core/object-key";
import { upsertJobs, upsertLogs } from "@actions-archive/database/rows/rows";
import { logSha256 } from "@actions-archive/github-simulator/log/log-content";
import { generatedStepLines } from "@actions-archive/github-simulator/log/log-text";
import { Builder } from "@actions-archive/github-simulator/world/builder";
import type { Job } from "@actions-archive/github-simulator/world/model";
import { addRerun } from "@actions-archive/github-simulator/world/rerun";
import { expect, test } from "vitest";

import { type Harness, host, openHarness } from "../test-support/harness.ts";

const refOf = (job: Job) => ({ repository_id: job.run.repository.id, run_id: job.run.id, job_id: job.id });
const keyOf = (job: Job) => logKey(host, refOf(job));

/** A log with one line at each of these seconds from the job's end. */
function logText(job: Job, seconds: readonly number[], lastLine = "Cleaning up orphan processes"): string {
  const end = Math.round((job.completedAtMs ?? 0) / 1000) * 1000;
  const lines = seconds.map((second, index) => {
    const time = new Date(end + second * 1000).toISOString().replace("Z", "0000Z");
    return `${time} ${index === seconds.length - 1 ? lastLine : `line ${index}`}`;
  });
  return `${lines.join("\n")}\n`;
}

async function flagsOf(harness: Harness, job: Job): Promise<readonly string[] | undefined> {
  const log = (await harness.recordOf(job))?.log;
  return log?.state === "archived" ? log.flags : undefined;
}

test("a log is archived byte by byte, recorded, and its load is queued", async () => {
  await using harness = await openHarness();
  const job = await harness.addJob({ bytes: 300_000 });
  await harness.deliver(job);
  const record = await harness.recordOf(job);
  const rawSha256 = await logSha256(job);
  expect(record).toMatchObject({
    ...refOf(job),
    host,
    repository: "acme/app",
    run_attempt: 1,
    job_source: "get",
    job: { id: job.id, name: "build" },
    log: { state: "archived", flags: [], key: keyOf(job), raw_sha256: rawSha256 },
  });
  const spoken = record?.sections?.flatMap(({ step_number, first_line, line_count }) =>
    step_number === null ? [] : [{ step_number, first_line, line_count }],
  );
  expect(spoken).toEqual(generatedStepLines(job));
  expect(record?.action_uses).toContainEqual(expect.objectContaining({ action: "actions/checkout", ref: "v4", step_number: 2 }));
  expect(record?.token_permissions).toMatchObject({ Contents: "write" });
  expect(await readLogContent(harness.worker.store, keyOf(job))).toMatchObject({ rawSha256 });
  expect(await harness.listKeys("logs/")).toEqual([keyOf(job)]);
  expect(await harness.worker.loadQueue.counts()).toMatchObject({ waiting: 1 });
  expect(harness.worker.spool.reservedBytes).toBe(0);
});

test("the log host never receives the credential, and its link is stored nowhere", async () => {
  await using harness = await openHarness();
  const job = await harness.addJob();
  harness.simulator.faults.add({ origin: "log", status: 403, body: "<Error/>" });
  await expect(harness.deliver(job)).rejects.toMatchObject({ code: "log/upstream-error" });
  await harness.deliver(job);
  const links = harness.simulator.journal.entries({ origin: "log" });
  expect(links.map(({ hasAuthorization, status }) => ({ hasAuthorization, status }))).toEqual([
    { hasAuthorization: false, status: 403 },
    { hasAuthorization: false, status: 200 },
  ]);
  const kept = JSON.stringify([harness.lines, await harness.recordOf(job), await harness.stateOf(job)]);
  expect(kept).not.toMatch(/sig=|signature=|job-logs\.txt/);
  expect(kept).not.toContain(harness.simulator.token);
});

test("a queue entry for a job that is not in the ledger is dropped", async () => {
  await using harness = await openHarness();
  const job = await harness.addJob();
  await expect(harness.deliver({ ...job, id: job.id + 1 })).rejects.toMatchObject({ code: "queue/unknown-payload" });
});

test("a job whose log is in a terminal state is skipped", async () => {
  await using harness = await openHarness();
  const job = await harness.addJob();
  await harness.query("update archive.log_jobs set log_state = 'archived'");
  await harness.deliver(job);
  expect(harness.requests()).toEqual([]);
  expect(await harness.listKeys("records/")).toEqual([]);
});

test("stored before: the load of an existing record is queued again without a request to GitHub", async () => {
  await using harness = await openHarness();
  const job = await harness.addJob();
  await harness.deliver(job);
  const before = await harness.recordOf(job);
  harness.simulator.control.clearJournal({});
  await harness.deliver(job);
  expect(harness.requests()).toEqual([]);
  expect(await harness.recordOf(job)).toEqual(before);
  expect(await harness.listKeys("records/")).toHaveLength(1);
});

test("stored before: a log without a record is adopted when GitHub still serves equal bytes", async () => {
  await using harness = await openHarness();
  const job = await harness.addJob();
  await harness.deliver(job);
  await harness.forgetRecord(job);
  await harness.deliver(job);
  expect(await harness.listKeys("logs/")).toEqual([keyOf(job)]);
  expect((await harness.recordOf(job))?.log).toMatchObject({
    flags: ["adopted"],
    key: keyOf(job),
    raw_sha256: await logSha256(job),
  });
});

test("stored before: a log without a record is kept when GitHub serves other bytes, which are stored under a further key", async () => {
  await using harness = await openHarness();
  const job = await harness.addJob();
  await harness.deliver(job);
  const first = await readLogContent(harness.worker.store, keyOf(job));
  await harness.forgetRecord(job);
  harness.simulator.control.setLog({ jobId: job.id, text: logText(job, [-2, 0]) });
  await harness.deliver(job);
  const conflictingKey = conflictingLogKey(host, refOf(job), (await logSha256(job)) ?? "");
  expect((await harness.recordOf(job))?.log).toMatchObject({ flags: ["changed_since"], key: conflictingKey });
  expect(new Set(await harness.listKeys("logs/"))).toEqual(new Set([keyOf(job), conflictingKey]));
  expect(await readLogContent(harness.worker.store, keyOf(job))).toEqual(first);
});

test.each(["not-found", "expired", "blob-missing"] as const)(
  "stored before: a log without a record that GitHub no longer has (%s) is adopted unchanged",
  async (kind) => {
    await using harness = await openHarness();
    const job = await harness.addJob();
    await harness.deliver(job);
    const before = await harness.recordOf(job);
    await harness.forgetRecord(job);
    harness.simulator.control.setLog({ jobId: job.id, kind });
    await harness.deliver(job);
    const after = await harness.recordOf(job);
    expect(after?.log).toEqual({ ...before?.log, flags: ["adopted"] });
    expect(before?.sections?.length).toBeGreaterThan(3);
    expect(after).toMatchObject({
      sections: before?.sections,
      annotations: before?.annotations,
      action_uses: before?.action_uses,
    });
    expect(await harness.listKeys("logs/")).toEqual([keyOf(job)]);
  },
);

test("stored before: of two logs without a record that GitHub no longer has, the later download is adopted", async () => {
  await using harness = await openHarness();
  const job = await harness.addJob();
  await harness.deliver(job);
  await harness.forgetRecord(job);
  harness.simulator.control.setLog({ jobId: job.id, text: logText(job, [-2, 0]) });
  await harness.deliver(job);
  const before = await harness.recordOf(job);
  await harness.forgetRecord(job);
  harness.simulator.control.setLog({ jobId: job.id, kind: "not-found" });
  await harness.deliver(job);
  expect((await harness.recordOf(job))?.log).toEqual({ ...before?.log, flags: ["adopted", "changed_since"] });
});

test("not requested: a skipped job has no log and causes no request", async () => {
  await using harness = await openHarness();
  const job = await harness.addJob({ isWithoutRunner: true, conclusion: "skipped" });
  await harness.deliver(job);
  expect((await harness.recordOf(job))?.log).toEqual({ state: "absent", reason: "not_run", copied_from: null });
  expect(harness.requests()).toEqual([]);
});

/** A job that passed in the first attempt and is listed under a new id in the second. */
async function openRerun(originalState: string) {
  const harness = await openHarness();
  const original = await harness.addJob();
  const builder = new Builder(harness.simulator.world, 1, {
    medianBytes: 1,
    tailShareOfLogs: 0,
    tailShareOfBytes: 0,
    capBytes: 1,
  });
  addRerun(builder, original.run, { atMs: Date.now() - 60_000, failedOnly: true });
  const copy = original.run.attempts[1]?.jobs[0];
  if (copy?.copyOf === undefined) throw new Error("no copy");
  await harness.see(copy);
  await harness.query(`update archive.log_jobs set log_state = '${originalState}' where job_id = ${original.id}`);
  return { ...harness, original, copy };
}

test("not requested: a copy of a job whose log is archived names it and causes no request", async () => {
  await using harness = await openRerun("archived");
  await harness.deliver(harness.copy);
  expect((await harness.recordOf(harness.copy))?.log).toEqual({
    state: "absent",
    reason: "copied",
    copied_from: harness.original.id,
  });
  expect(harness.requests()).toEqual([]);
});

test("a copy waits while its original is pending", async () => {
  await using harness = await openRerun("pending");
  await harness.deliver(harness.copy);
  expect(await harness.recordOf(harness.copy)).toBeUndefined();
  expect(await harness.stateOf(harness.copy)).toMatchObject({ log_state: "pending", log_reason: null });
  expect((await harness.stateOf(harness.copy)).due).toBeGreaterThan(0);
  expect(harness.requests()).toEqual([]);
});

test.each(["absent", "failed"])("copied: the log of a copy of a job whose log is %s is requested", async (state) => {
  await using harness = await openRerun(state);
  await harness.deliver(harness.copy);
  expect((await harness.recordOf(harness.copy))?.log).toMatchObject({
    state: "archived",
    raw_sha256: await logSha256(harness.copy),
  });
});

test("copied: a copy whose original is known does not wait for earlier attempts to be listed", async () => {
  await using harness = await openRerun("archived");
  const { run, attempt } = harness.copy;
  await harness.query(
    `insert into archive.runs (run_id, repository_id, run_attempt, created_at) values (${run.id}, ${run.repository.id}, ${attempt}, now())`,
  );
  await harness.query(
    `insert into archive.attempts (run_id, run_attempt, repository_id) values (${run.id}, 1, ${run.repository.id})`,
  );
  await harness.deliver(harness.copy);
  expect((await harness.recordOf(harness.copy))?.log).toMatchObject({ reason: "copied" });
});

test.each(["archived", "pending"])(
  "stored before copied: the log of a copy with a stored log without a record is requested, whatever its original is (%s)",
  async (state) => {
    await using harness = await openRerun("absent");
    await harness.deliver(harness.copy);
    await harness.forgetRecord(harness.copy);
    await harness.query(`update archive.log_jobs set log_state = '${state}' where job_id = ${harness.original.id}`);
    await harness.deliver(harness.copy);
    expect((await harness.recordOf(harness.copy))?.log).toMatchObject({
      state: "archived",
      key: keyOf(harness.copy),
      flags: ["adopted"],
      raw_sha256: await logSha256(harness.copy),
    });
  },
);

test("the log of a skipped job that had a runner is requested", async () => {
  await using harness = await openHarness();
  const job = await harness.addJob({ conclusion: "failure" });
  await harness.query(`update archive.log_jobs set object = jsonb_set(object::jsonb, '{conclusion}', '"skipped"')::json`);
  await harness.deliver(job);
  expect((await harness.recordOf(job))?.log).toMatchObject({ state: "archived" });
});

test("stored before copied: the log of a skipped job that has a stored log is requested", async () => {
  await using harness = await openHarness();
  const job = await harness.addJob();
  await harness.deliver(job);
  await harness.forgetRecord(job);
  await harness.query(`update archive.log_jobs set object = jsonb_set(object::jsonb, '{conclusion}', '"skipped"')::json`);
  harness.simulator.control.setLog({ jobId: job.id, kind: "not-found" });
  await harness.deliver(job);
  expect((await harness.recordOf(job))?.log).toMatchObject({ state: "archived", flags: ["adopted"] });
});

test("no end: a log that lacks its end is downloaded once more later, then stored and flagged", async () => {
  await using harness = await openHarness();
  const job = await harness.addJob();
  harness.simulator.control.setLog({ jobId: job.id, text: logText(job, [-50, -30], "still working") });
  await harness.deliver(job);
  expect(await harness.listKeys("logs/")).toEqual([]);
  expect((await harness.stateOf(job)).due).toBeGreaterThan(50);
  await harness.deliver(job);
  expect(await flagsOf(harness, job)).toEqual(["no_end_marker"]);
});

test("no end: a log that has its end at the second download is not flagged", async () => {
  await using harness = await openHarness();
  const job = await harness.addJob();
  harness.simulator.control.setLog({ jobId: job.id, text: logText(job, [-50, -30], "still working") });
  await harness.deliver(job);
  harness.simulator.control.setLog({ jobId: job.id, text: logText(job, [-50, -30, -1]) });
  await harness.deliver(job);
  expect(await flagsOf(harness, job)).toEqual([]);
});

test("no end: a missing end marker alone, or an early last line alone, does not defer a log", async () => {
  await using harness = await openHarness();
  for (const text of [
    [-50, -4],
    [-50, -30],
  ] as const) {
    const job = await harness.addJob();
    harness.simulator.control.setLog({ jobId: job.id, text: logText(job, text, text[1] === -4 ? "exit" : undefined) });
    await harness.deliver(job);
    expect(await flagsOf(harness, job)).toEqual([]);
  }
});

test("no end: an answer that declares its early end is a log without its end", async () => {
  await using harness = await openHarness();
  const job = await harness.addJob({ bytes: 20_000 });
  harness.simulator.faults.add({ origin: "log", endAfterBytes: 2_000 });
  await harness.deliver(job);
  expect(await harness.listKeys("logs/")).toEqual([]);
  await harness.deliver(job);
  expect((await harness.recordOf(job))?.log).toMatchObject({ flags: [], raw_sha256: await logSha256(job) });
});

test("outside the job's time: lines before the job's start are normal, a last line far from its end is not", async () => {
  await using harness = await openHarness();
  for (const [seconds, flags] of [
    [[-5_000, -1], []],
    [[-50, 119], []],
    [[-50, 122], ["outside_job_window"]],
    [[-500, -122], ["outside_job_window"]],
  ] as const) {
    const job = await harness.addJob();
    harness.simulator.control.setLog({ jobId: job.id, text: logText(job, seconds) });
    await harness.deliver(job);
    expect(await flagsOf(harness, job)).toEqual(flags);
  }
});

test("same bytes: a log with the raw bytes of another job's is stored and flagged", async () => {
  await using harness = await openHarness();
  const [one, two] = [await harness.addJob(), await harness.addJob()];
  await harness.deliver(one);
  const log = (await harness.recordOf(one))?.log;
  if (log?.state !== "archived") throw new Error("not archived");
  const { object } = (await harness.query(`select object from archive.log_jobs where job_id = ${one.id}`))[0] ?? {};
  await harness.worker.db.transaction().execute(async (trx) => {
    await upsertJobs(trx, [{ repository_id: harness.repository.id, run_attempt: 1, last_listed_attempt: 1, object }]);
    const times = { first_line_at: log.first_time, last_line_at: log.last_time, archived_at: new Date().toISOString() };
    const { raw_bytes, raw_sha256, stored_bytes, stored_sha256, lines } = log;
    const facts = { raw_bytes, raw_sha256, stored_bytes, stored_sha256, lines, ...times };
    const record = {
      record_key: "records/x",
      record_version: 1,
      record_sha256: raw_sha256,
      extraction_version: null,
      object_steps: null,
    };
    const state = { log_state: "archived" as const, log_reason: null, log_flags: [], copied_from_job_id: null };
    await upsertLogs(trx, [{ job_id: one.id, ...state, log_key: log.key, log_version_id: null, ...facts, ...record }]);
  });
  harness.simulator.control.setLog({ jobId: two.id, ofJobId: one.id });
  await harness.deliver(two);
  expect((await harness.recordOf(two))?.log).toMatchObject({ state: "archived", key: keyOf(two), raw_sha256: log.raw_sha256 });
  expect(await flagsOf(harness, two)).toContain("same_as_other_job");
});

test("equal logs: of two equal logs archived concurrently, at least one is flagged", async () => {
  await using harness = await openHarness();
  const jobs = [await harness.addJob(), await harness.addJob()];
  for (const { id: jobId } of jobs) harness.simulator.control.setLog({ jobId, text: logText(jobs[0] as Job, [-3, -1]) });
  await Promise.all(jobs.map((job) => harness.deliver(job)));
  const flags = await Promise.all(jobs.map((job) => flagsOf(harness, job)));
  expect(flags.flat()).toContain("same_as_other_job");
  const other = await harness.addJob();
  harness.simulator.control.setLog({ jobId: other.id, text: logText(jobs[0] as Job, [-2, -1]) });
  await harness.deliver(other);
  expect(await flagsOf(harness, other)).toEqual([]);
});

test("concurrent workers on one job archive one log", async () => {
  await using harness = await openHarness();
  const job = await harness.addJob({ bytes: 200_000 });
  harness.simulator.faults.add({ origin: "log", delayMs: 1_500, times: 3 });
  await harness.deliverInTurn(job, 3);
  expect(await harness.listKeys("logs/")).toEqual([keyOf(job)]);
  expect((await harness.recordOf(job))?.log).toMatchObject({ state: "archived", raw_sha256: await logSha256(job) });
});
