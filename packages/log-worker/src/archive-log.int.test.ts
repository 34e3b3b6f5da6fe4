// A log that GitHub has: archived as it is, once, and flagged where there is doubt. The contract's rules 0, 1 and 5.

import { readLogContent } from "@actions-archive/archive/log/logs";
import { conflictingLogKey, logKey } from "@actions-archive/core/object-key";
import { upsertJobs, upsertLogs } from "@actions-archive/database/rows/rows";
import { logSha256 } from "@actions-archive/github-simulator/log/log-content";
import { generatedStepLines } from "@actions-archive/github-simulator/log/log-text";
import { Builder } from "@actions-archive/github-simulator/world/builder";
import type { Job } from "@actions-archive/github-simulator/world/model";
import { addRerun } from "@actions-archive/github-simulator/world/rerun";
import { expect, test } from "vitest";

import { type Bench, host, openBench } from "../test-support/harness.ts";

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

async function flagsOf(bench: Bench, job: Job): Promise<readonly string[] | undefined> {
  const log = (await bench.recordOf(job))?.log;
  return log?.state === "archived" ? log.flags : undefined;
}

test("a log is archived byte by byte, its record tells its story, and its load is queued", async () => {
  await using bench = await openBench();
  const job = await bench.addJob({ bytes: 300_000 });
  await bench.deliver(job);
  const record = await bench.recordOf(job);
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
  expect(await readLogContent(bench.worker.store, keyOf(job))).toMatchObject({ rawSha256 });
  expect(await bench.listKeys("logs/")).toEqual([keyOf(job)]);
  expect(await bench.worker.loadQueue.counts()).toMatchObject({ waiting: 1 });
  expect(bench.worker.spool.reservedBytes).toBe(0);
});

test("the log host never sees the credential, and its link is kept nowhere", async () => {
  await using bench = await openBench();
  const job = await bench.addJob();
  bench.simulator.faults.add({ origin: "log", status: 403, body: "<Error/>" });
  await expect(bench.deliver(job)).rejects.toMatchObject({ code: "log/upstream-error" });
  await bench.deliver(job);
  const links = bench.simulator.journal.entries({ origin: "log" });
  expect(links.map(({ hasAuthorization, status }) => ({ hasAuthorization, status }))).toEqual([
    { hasAuthorization: false, status: 403 },
    { hasAuthorization: false, status: 200 },
  ]);
  const kept = JSON.stringify([bench.lines, await bench.recordOf(job), await bench.stateOf(job)]);
  expect(kept).not.toMatch(/sig=|signature=|job-logs\.txt/);
  expect(kept).not.toContain(bench.simulator.token);
});

test("a message about a job that the ledger does not have is refused for good", async () => {
  await using bench = await openBench();
  const job = await bench.addJob();
  await expect(bench.deliver({ ...job, id: job.id + 1 })).rejects.toMatchObject({ code: "queue/unknown-payload" });
});

test("a job whose log is settled is left alone", async () => {
  await using bench = await openBench();
  const job = await bench.addJob();
  await bench.ask("update archive.obligations set log_state = 'archived'");
  await bench.deliver(job);
  expect(bench.asked()).toEqual([]);
  expect(await bench.listKeys("records/")).toEqual([]);
});

test("rule 0: a record that is there is handed over again, and GitHub is not asked", async () => {
  await using bench = await openBench();
  const job = await bench.addJob();
  await bench.deliver(job);
  const before = await bench.recordOf(job);
  bench.simulator.control.clearJournal({});
  await bench.deliver(job);
  expect(bench.asked()).toEqual([]);
  expect(await bench.recordOf(job)).toEqual(before);
  expect(await bench.listKeys("records/")).toHaveLength(1);
});

test("rule 0: a log without a record that GitHub still has alike is adopted", async () => {
  await using bench = await openBench();
  const job = await bench.addJob();
  await bench.deliver(job);
  await bench.forgetRecord(job);
  await bench.deliver(job);
  expect(await bench.listKeys("logs/")).toEqual([keyOf(job)]);
  expect((await bench.recordOf(job))?.log).toMatchObject({
    flags: ["adopted"],
    key: keyOf(job),
    raw_sha256: await logSha256(job),
  });
});

test("rule 0: a log without a record that GitHub now has otherwise is kept, and the other one beside it", async () => {
  await using bench = await openBench();
  const job = await bench.addJob();
  await bench.deliver(job);
  const first = await readLogContent(bench.worker.store, keyOf(job));
  await bench.forgetRecord(job);
  bench.simulator.control.setLog({ jobId: job.id, text: logText(job, [-2, 0]) });
  await bench.deliver(job);
  const beside = conflictingLogKey(host, refOf(job), (await logSha256(job)) ?? "");
  expect((await bench.recordOf(job))?.log).toMatchObject({ flags: ["changed_since"], key: beside });
  expect(new Set(await bench.listKeys("logs/"))).toEqual(new Set([keyOf(job), beside]));
  expect(await readLogContent(bench.worker.store, keyOf(job))).toEqual(first);
});

test.each(["not-found", "expired", "blob-missing"] as const)(
  "rule 0: a log without a record that GitHub has no more (%s) is adopted as it lies there",
  async (kind) => {
    await using bench = await openBench();
    const job = await bench.addJob();
    await bench.deliver(job);
    const before = await bench.recordOf(job);
    await bench.forgetRecord(job);
    bench.simulator.control.setLog({ jobId: job.id, kind });
    await bench.deliver(job);
    const after = await bench.recordOf(job);
    expect(after?.log).toEqual({ ...before?.log, flags: ["adopted"] });
    expect(before?.sections?.length).toBeGreaterThan(3);
    expect(after).toMatchObject({
      sections: before?.sections,
      annotations: before?.annotations,
      action_uses: before?.action_uses,
    });
    expect(await bench.listKeys("logs/")).toEqual([keyOf(job)]);
  },
);

test("rule 0: of two logs without a record, which GitHub has no more, the one that was read later is adopted", async () => {
  await using bench = await openBench();
  const job = await bench.addJob();
  await bench.deliver(job);
  await bench.forgetRecord(job);
  bench.simulator.control.setLog({ jobId: job.id, text: logText(job, [-2, 0]) });
  await bench.deliver(job);
  const before = await bench.recordOf(job);
  await bench.forgetRecord(job);
  bench.simulator.control.setLog({ jobId: job.id, kind: "not-found" });
  await bench.deliver(job);
  expect((await bench.recordOf(job))?.log).toEqual({ ...before?.log, flags: ["adopted", "changed_since"] });
});

test("rule 1: a skipped job has no log, and GitHub is not asked", async () => {
  await using bench = await openBench();
  const job = await bench.addJob({ isWithoutRunner: true, conclusion: "skipped" });
  await bench.deliver(job);
  expect((await bench.recordOf(job))?.log).toEqual({ state: "absent", reason: "not_run", copied_from: null });
  expect(bench.asked()).toEqual([]);
});

/** A job that passed in the first attempt and is listed again, under a new id, in the second. */
async function openRerun(originalState: string) {
  const bench = await openBench();
  const original = await bench.addJob();
  const builder = new Builder(bench.simulator.world, 1, { medianBytes: 1, tailShareOfLogs: 0, tailShareOfBytes: 0, capBytes: 1 });
  addRerun(builder, original.run, { atMs: Date.now() - 60_000, failedOnly: true });
  const copy = original.run.attempts[1]?.jobs[0];
  if (copy?.copyOf === undefined) throw new Error("no copy");
  await bench.see(copy);
  await bench.ask(`update archive.obligations set log_state = '${originalState}' where job_id = ${original.id}`);
  return { ...bench, original, copy };
}

test("rule 1: a copy of a job whose log is archived names it, and GitHub is not asked", async () => {
  await using bench = await openRerun("archived");
  await bench.deliver(bench.copy);
  expect((await bench.recordOf(bench.copy))?.log).toEqual({ state: "absent", reason: "copied", copied_from: bench.original.id });
  expect(bench.asked()).toEqual([]);
});

test("rule 1: a copy waits while its original is pending", async () => {
  await using bench = await openRerun("pending");
  await bench.deliver(bench.copy);
  expect(await bench.recordOf(bench.copy)).toBeUndefined();
  expect(await bench.stateOf(bench.copy)).toMatchObject({ log_state: "pending", log_reason: null });
  expect((await bench.stateOf(bench.copy)).due).toBeGreaterThan(0);
  expect(bench.asked()).toEqual([]);
});

test.each(["absent", "failed"])("rule 1: a copy of a job whose log is %s is asked for itself", async (state) => {
  await using bench = await openRerun(state);
  await bench.deliver(bench.copy);
  expect((await bench.recordOf(bench.copy))?.log).toMatchObject({ state: "archived", raw_sha256: await logSha256(bench.copy) });
});

test("rule 1: a copy whose original is known need not wait until the earlier attempts are listed", async () => {
  await using bench = await openRerun("archived");
  const { run, attempt } = bench.copy;
  await bench.ask(
    `insert into archive.runs (run_id, repository_id, run_attempt, created_at) values (${run.id}, ${run.repository.id}, ${attempt}, now())`,
  );
  await bench.ask(
    `insert into archive.attempts (run_id, run_attempt, repository_id) values (${run.id}, 1, ${run.repository.id})`,
  );
  await bench.deliver(bench.copy);
  expect((await bench.recordOf(bench.copy))?.log).toMatchObject({ reason: "copied" });
});

test.each(["archived", "pending"])(
  "rule 0 before rule 1: a copy whose own log lies there without a record is asked for, whatever its original is (%s)",
  async (state) => {
    await using bench = await openRerun("absent");
    await bench.deliver(bench.copy);
    await bench.forgetRecord(bench.copy);
    await bench.ask(`update archive.obligations set log_state = '${state}' where job_id = ${bench.original.id}`);
    await bench.deliver(bench.copy);
    expect((await bench.recordOf(bench.copy))?.log).toMatchObject({
      state: "archived",
      key: keyOf(bench.copy),
      flags: ["adopted"],
      raw_sha256: await logSha256(bench.copy),
    });
  },
);

test("a job that one object calls skipped, and that had a runner, is asked for", async () => {
  await using bench = await openBench();
  const job = await bench.addJob({ conclusion: "failure" });
  await bench.ask(`update archive.obligations set object = jsonb_set(object::jsonb, '{conclusion}', '"skipped"')::json`);
  await bench.deliver(job);
  expect((await bench.recordOf(job))?.log).toMatchObject({ state: "archived" });
});

test("rule 0 before rule 1: a skipped job whose log lies there all the same is asked for", async () => {
  await using bench = await openBench();
  const job = await bench.addJob();
  await bench.deliver(job);
  await bench.forgetRecord(job);
  await bench.ask(`update archive.obligations set object = jsonb_set(object::jsonb, '{conclusion}', '"skipped"')::json`);
  bench.simulator.control.setLog({ jobId: job.id, kind: "not-found" });
  await bench.deliver(job);
  expect((await bench.recordOf(job))?.log).toMatchObject({ state: "archived", flags: ["adopted"] });
});

test("rule 4: a log that lacks its end is read once more after a while, and then stored and flagged", async () => {
  await using bench = await openBench();
  const job = await bench.addJob();
  bench.simulator.control.setLog({ jobId: job.id, text: logText(job, [-50, -30], "still working") });
  await bench.deliver(job);
  expect(await bench.listKeys("logs/")).toEqual([]);
  expect((await bench.stateOf(job)).due).toBeGreaterThan(50);
  await bench.deliver(job);
  expect(await flagsOf(bench, job)).toEqual(["no_end_marker"]);
});

test("rule 4: a log that has its end at the second reading is not doubted", async () => {
  await using bench = await openBench();
  const job = await bench.addJob();
  bench.simulator.control.setLog({ jobId: job.id, text: logText(job, [-50, -30], "still working") });
  await bench.deliver(job);
  bench.simulator.control.setLog({ jobId: job.id, text: logText(job, [-50, -30, -1]) });
  await bench.deliver(job);
  expect(await flagsOf(bench, job)).toEqual([]);
});

test("rule 4: no end marker alone, or an early last line alone, is no doubt", async () => {
  await using bench = await openBench();
  for (const text of [
    [-50, -4],
    [-50, -30],
  ] as const) {
    const job = await bench.addJob();
    bench.simulator.control.setLog({ jobId: job.id, text: logText(job, text, text[1] === -4 ? "exit" : undefined) });
    await bench.deliver(job);
    expect(await flagsOf(bench, job)).toEqual([]);
  }
});

test("rule 4: an answer that ends early and says so is a log without its end", async () => {
  await using bench = await openBench();
  const job = await bench.addJob({ bytes: 20_000 });
  bench.simulator.faults.add({ origin: "log", endAfterBytes: 2_000 });
  await bench.deliver(job);
  expect(await bench.listKeys("logs/")).toEqual([]);
  await bench.deliver(job);
  expect((await bench.recordOf(job))?.log).toMatchObject({ flags: [], raw_sha256: await logSha256(job) });
});

test("rule 5: lines before the job's start are normal, a last line far from its end is not", async () => {
  await using bench = await openBench();
  for (const [seconds, flags] of [
    [[-5_000, -1], []],
    [[-50, 119], []],
    [[-50, 122], ["outside_job_window"]],
    [[-500, -122], ["outside_job_window"]],
  ] as const) {
    const job = await bench.addJob();
    bench.simulator.control.setLog({ jobId: job.id, text: logText(job, seconds) });
    await bench.deliver(job);
    expect(await flagsOf(bench, job)).toEqual(flags);
  }
});

test("rule 5: a log with the raw bytes of another job's is stored and flagged", async () => {
  await using bench = await openBench();
  const [one, two] = [await bench.addJob(), await bench.addJob()];
  await bench.deliver(one);
  const log = (await bench.recordOf(one))?.log;
  if (log?.state !== "archived") throw new Error("not archived");
  const { object } = (await bench.ask(`select object from archive.obligations where job_id = ${one.id}`))[0] ?? {};
  await bench.worker.db.transaction().execute(async (trx) => {
    await upsertJobs(trx, [{ repository_id: bench.repository.id, run_attempt: 1, last_listed_attempt: 1, object }]);
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
  bench.simulator.control.setLog({ jobId: two.id, ofJobId: one.id });
  await bench.deliver(two);
  expect((await bench.recordOf(two))?.log).toMatchObject({ state: "archived", key: keyOf(two), raw_sha256: log.raw_sha256 });
  expect(await flagsOf(bench, two)).toContain("same_as_other_job");
});

test("rule 5: of two equal logs that are archived at the same moment, one is flagged at least", async () => {
  await using bench = await openBench();
  const jobs = [await bench.addJob(), await bench.addJob()];
  for (const { id: jobId } of jobs) bench.simulator.control.setLog({ jobId, text: logText(jobs[0] as Job, [-3, -1]) });
  await Promise.all(jobs.map((job) => bench.deliver(job)));
  const flags = await Promise.all(jobs.map((job) => flagsOf(bench, job)));
  expect(flags.flat()).toContain("same_as_other_job");
  const other = await bench.addJob();
  bench.simulator.control.setLog({ jobId: other.id, text: logText(jobs[0] as Job, [-2, -1]) });
  await bench.deliver(other);
  expect(await flagsOf(bench, other)).toEqual([]);
});

test("workers with the same job at the same time end with one log", async () => {
  await using bench = await openBench();
  const job = await bench.addJob({ bytes: 200_000 });
  bench.simulator.faults.add({ origin: "log", delayMs: 1_500, times: 3 });
  await bench.deliverInTurn(job, 3);
  expect(await bench.listKeys("logs/")).toEqual([keyOf(job)]);
  expect((await bench.recordOf(job))?.log).toMatchObject({ state: "archived", raw_sha256: await logSha256(job) });
});
