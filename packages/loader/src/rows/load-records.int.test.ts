// Rows of records depend on the object under the key alone, not on the message or its time.

import { createHash } from "node:crypto";

import type { LogRecord } from "@actions-archive/archive/record/record";
import { conflictingLogKey, logKey, recordKey } from "@actions-archive/core/object-key";
import { lockJobs } from "@actions-archive/database/ledger/log-jobs";
import { jobId, jobObject, repositoryId, runId } from "@actions-archive/database/test-support/samples";
import { expect, test } from "vitest";

import { absent, archived, type Harness, host, openHarness } from "../../test-support/harness.ts";
import { loadJobs } from "./load-jobs.ts";
import { loadRecords } from "./load-records.ts";

const empty = { jobs: [], steps: [], logs: [], sections: [], action_uses: [], annotations: [] };
const extracted = {
  sections: [
    { step_number: null, first_line: 1, line_count: 2, raw_start: 0, raw_bytes: 80 },
    { step_number: 2, first_line: 3, line_count: 10, raw_start: 80, raw_bytes: 800 },
  ],
  action_uses: [{ step_number: 2, action: "actions/checkout", ref: "v4", sha: "a".repeat(40), line_number: 2, used_at: null }],
  annotations: [{ step_number: 2, level: "error" as const, line_number: 5, message: "no\0\nreally" }],
  runner: { version: "2.336.0", cache_mode: "read" },
  locked_actions: true,
};

async function put({ loader }: Harness, key: string, text: string): Promise<void> {
  const body = Buffer.from(text);
  const sha256 = createHash("sha256").update(body).digest("hex");
  await loader.store.put(key, body, { sha256, contentType: "application/json" });
}

const readText = async ({ loader }: Harness, key: string) => (await loader.store.read(key))?.toString("utf8") ?? "";

test("a record fills the auditor's tables and settles the log", async () => {
  await using harness = await openHarness();
  const job_id = await harness.owe();
  const key = await harness.record(job_id, archived());
  await loadRecords(harness.loader, [{ job_id, key }]);
  expect(await harness.ask("select log_state, log_reason, log_flags, log_key, log_bytes, archived_at from audit.jobs")).toEqual([
    {
      log_state: "archived",
      log_reason: null,
      log_flags: ["adopted", "no_end_marker"],
      log_key: `logs/${host}/${repositoryId}/${runId}/${job_id}.log.zst`,
      log_bytes: 5_000_000_000,
      archived_at: new Date("2026-05-01T10:06:00Z"),
    },
  ]);
  expect(await harness.ask("select log_state, record_key from archive.log_jobs")).toEqual([
    { log_state: "archived", record_key: key },
  ]);
  const sha256 = createHash("sha256")
    .update((await harness.loader.store.read(key)) ?? "")
    .digest("hex");
  expect(await harness.ask("select record_key, record_version, record_sha256 from archive.logs")).toEqual([
    { record_key: key, record_version: 1, record_sha256: sha256 },
  ]);
});

test("a record's sections, action uses and annotations are in the auditor's views, in any order of its job and records", async () => {
  for (const order of [
    [0, 1],
    [1, 0],
  ]) {
    await using harness = await openHarness();
    const job_id = await harness.owe();
    const keys = [await harness.record(job_id, absent), await harness.record(job_id, archived(), extracted)];
    for (const index of order) await loadRecords(harness.loader, [{ job_id, key: keys[index] ?? "" }]);
    await loadJobs(harness.loader, [job_id]);
    expect(await harness.ask("select step_number, first_line, line_count from audit.steps where first_line is not null")).toEqual(
      [{ step_number: 2, first_line: 3, line_count: 10 }],
    );
    expect(await harness.ask("select job_id, repository, step_number, action, ref, sha from audit.action_uses")).toEqual([
      { job_id, repository: "acme/app", step_number: 2, action: "actions/checkout", ref: "v4", sha: "a".repeat(40) },
    ]);
    expect(await harness.ask("select job_id, step_number, level, line_number, message from audit.annotations")).toEqual([
      { job_id, step_number: 2, level: "error", line_number: 5, message: "no\uFFFD\nreally" },
    ]);
    expect(await harness.ask("select job_id, locked_actions, cache_mode from audit.jobs")).toEqual([
      { job_id, locked_actions: true, cache_mode: "read" },
    ]);
  }
});

test("a line of a day that there is not costs a time, not the job", async () => {
  await using harness = await openHarness();
  const job_id = await harness.owe();
  const log = { ...archived(), last_time: "2026-02-31T10:04:00.1234567Z" } as LogRecord["log"];
  await loadRecords(harness.loader, [{ job_id, key: await harness.record(job_id, log) }]);
  expect(await harness.ask("select log_state, first_line_at, last_line_at from archive.logs")).toEqual([
    { log_state: "archived", first_line_at: new Date("2026-05-01T10:00:10.123Z"), last_line_at: null },
  ]);
  expect(harness.errors).toEqual([]);
});

test("the job first or its record first, the rows are the same", async () => {
  const outcomes = await Promise.all(
    [true, false].map(async (isJobFirst) => {
      await using harness = await openHarness();
      const job_id = await harness.owe();
      const key = await harness.record(job_id, archived(), extracted);
      if (isJobFirst) await loadJobs(harness.loader, [job_id]);
      await loadRecords(harness.loader, [{ job_id, key }]);
      await loadJobs(harness.loader, [job_id]);
      const rows = await harness.rows();
      return rows;
    }),
  );
  expect(outcomes[0]).toEqual(outcomes[1]);
});

test("records alone fill an empty database, without any ledger", async () => {
  await using harness = await openHarness();
  const key = await harness.record(jobId, archived());
  await loadRecords(harness.loader, [{ job_id: jobId, key }]);
  expect(await harness.ask("select job_id, log_state, log_bytes from audit.jobs")).toEqual([
    { job_id: jobId, log_state: "archived", log_bytes: 5_000_000_000 },
  ]);
});

test("of a job's records the one in force is loaded, in any order and in one batch", async () => {
  for (const batches of [[[0], [1]], [[1], [0]], [[0, 1]], [[1, 0]]]) {
    await using harness = await openHarness();
    const job_id = await harness.owe();
    const keys = [await harness.record(job_id, absent), await harness.record(job_id, archived())];
    expect(keys[1]).toMatch(/\.2\.json$/);
    for (const batch of batches)
      await loadRecords(
        harness.loader,
        batch.map((index) => ({ job_id, key: keys[index] ?? "" })),
      );
    expect(await harness.ask("select log_state, record_version from archive.logs")).toEqual([
      { log_state: "archived", record_version: 2 },
    ]);
    expect(await harness.ask("select log_state, record_key from archive.log_jobs")).toEqual([
      { log_state: "archived", record_key: keys[1] },
    ]);
  }
});

test("a record that no table takes is listed as unloadable, and the rest of its batch loads", async () => {
  await using harness = await openHarness();
  await harness.ask(`alter table archive.logs add constraint picky check (job_id <> ${jobId + 1})`);
  const jobs = [await harness.owe(), await harness.owe({ id: jobId + 1 }), await harness.owe({ id: jobId + 2 })];
  const messages = await Promise.all(
    jobs.map(async (job_id) => ({ job_id, key: await harness.record(job_id, archived(job_id)) })),
  );
  await loadRecords(harness.loader, messages);
  expect(await harness.ask("select job_id, log_state, log_reason from archive.log_jobs order by 1")).toEqual([
    { job_id: jobId, log_state: "archived", log_reason: null },
    { job_id: jobId + 1, log_state: "failed", log_reason: "unloadable" },
    { job_id: jobId + 2, log_state: "archived", log_reason: null },
  ]);
});

test("a message that names another job's record loads nothing", async () => {
  await using harness = await openHarness();
  const key = await harness.record(jobId, archived());
  await loadRecords(harness.loader, [{ job_id: jobId + 1, key }]);
  expect(await harness.rows()).toEqual(empty);
  expect(harness.errors).toEqual(["record refused"]);
});

test.each([
  `logs/${host}/${repositoryId}/${runId}/${jobId}.json`,
  `records/ghes.example.com/${repositoryId}/${runId}/${jobId}.json`,
  `records/${host}/${repositoryId}/${runId}/${jobId + 1}.json`,
  `records/${host}/1/${runId}/${jobId}.json`,
  `probe/${jobId}.json`,
])("a record that lies at %s loads nothing", async (key) => {
  await using harness = await openHarness();
  await put(harness, key, await readText(harness, await harness.record(jobId, archived())));
  await loadRecords(harness.loader, [{ job_id: jobId, key }]);
  expect(await harness.rows()).toEqual(empty);
  expect(harness.errors).toEqual(["record refused"]);
});

test.each([
  "",
  "/etc/passwd",
  `records/${host}/../../archive.json`,
  `records/${host}/./x.json`,
  "archive.json",
  `records/${host}/1/2/3.json`,
  "file:///etc/passwd",
])("the key %j leads nowhere, and loads nothing", async (key) => {
  await using harness = await openHarness();
  await loadRecords(harness.loader, [{ job_id: jobId, key }]);
  expect(await harness.rows()).toEqual(empty);
  expect(harness.errors).toEqual(["record refused"]);
});

test("a message that makes a version up costs one look, however many it says came before", async () => {
  await using harness = await openHarness();
  await harness.record(jobId, archived());
  const key = `records/${host}/${repositoryId}/${runId}/${jobId}.100.json`;
  await loadRecords(harness.loader, [{ job_id: jobId, key }]);
  expect(await harness.rows()).toEqual(empty);
  expect(harness.errors).toEqual(["record refused"]);
});

const another = { repository_id: repositoryId, run_id: runId, job_id: jobId + 1 };

test.each([
  ["another job's object", { job: jobObject({ id: jobId + 1 }) }],
  ["another run's object", { job: jobObject({ run_id: runId + 1 }) }],
  ["an object that is no job", { job: { hello: "world" } }],
  ["another job's log", { log: { ...archived(), key: logKey(host, another) } }],
  ["another host's log", { log: { ...archived(), key: logKey("ghes.example.com", { ...another, job_id: jobId }) } }],
  [
    "the log of other raw bytes",
    { log: { ...archived(), key: conflictingLogKey(host, { ...another, job_id: jobId }, "a".repeat(64)) } },
  ],
  ["a record for its log", { log: { ...archived(), key: recordKey(host, another, 1) } }],
  ["a path for its log", { log: { ...archived(), key: "../../etc/passwd" } }],
])("a record with %s is refused, is not sealed, and other rows stay as they are", async (_what, changes) => {
  await using harness = await openHarness();
  const other = await harness.owe({ id: jobId + 1, name: "untouched" });
  await loadJobs(harness.loader, [other]);
  const before = await harness.rows();
  const key = await harness.plant(jobId, archived(), changes as never);
  await loadRecords(harness.loader, [{ job_id: jobId, key }]);
  expect(await harness.rows()).toEqual(before);
  expect(await harness.ask("select object_key from archive.objects where object_key <> 'archive.json'")).toEqual([]);
  expect(harness.errors).toEqual(["record refused"]);
});

test("a version that is no record of the job is passed over, and the good one after it is loaded and sealed", async () => {
  await using harness = await openHarness();
  const job_id = await harness.owe();
  await put(harness, recordKey(host, { ...another, job_id }, 1), "planted");
  const key = await harness.record(job_id, archived());
  expect(key).toMatch(/\.2\.json$/);
  await loadRecords(harness.loader, [{ job_id, key }]);
  expect(await harness.ask("select log_state, record_key from archive.log_jobs")).toEqual([
    { log_state: "archived", record_key: key },
  ]);
  expect(await harness.ask("select object_key from archive.objects where object_key like 'records/%'")).toEqual([
    { object_key: key },
  ]);
  expect(harness.errors).toEqual(["record refused"]);
});

test("a record that was damaged loads nothing, and the rest of its batch loads", async () => {
  await using harness = await openHarness();
  const [damaged, whole] = [`records/${host}/${repositoryId}/${runId}/${jobId}.json`, await harness.record(jobId + 1, absent)];
  await put(harness, damaged, `{"schema_version":1`);
  await loadRecords(harness.loader, [
    { job_id: jobId, key: damaged },
    { job_id: jobId + 1, key: whole },
  ]);
  expect(await harness.ask("select job_id, log_state, log_reason from archive.logs")).toEqual([
    { job_id: jobId + 1, log_state: "absent", log_reason: "deleted" },
  ]);
});

test("a record's load waits for the job's own load without a lock that the other needs next", async () => {
  await using harness = await openHarness();
  const job_id = await harness.owe();
  await loadJobs(harness.loader, [job_id]);
  const key = await harness.record(job_id, archived());
  const waiting: Promise<void>[] = [];
  await harness.loader.db.transaction().execute(async (trx) => {
    // The first step of `loadJobs`, whose next one locks the rows of jobs.
    await lockJobs(trx, [job_id]);
    waiting.push(loadRecords(harness.loader, [{ job_id, key }]));
    await expect
      .poll(() => harness.ask("select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"))
      .toHaveLength(1);
    await trx.selectFrom("archive.jobs").select("job_id").where("job_id", "=", job_id).forUpdate().noWait().execute();
  });
  await Promise.all(waiting);
  expect(await harness.ask("select log_state from audit.jobs")).toEqual([{ log_state: "archived" }]);
});
