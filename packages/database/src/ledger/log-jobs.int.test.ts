// Log jobs, from any number of snapshots in any order.

import { openTestDatabase } from "@actions-archive/testkit/test-database";
import { expect, test } from "vitest";

import {
  addRepository,
  jobId,
  jobObject,
  type Json,
  repositoryId,
  runId,
  runObject,
  stepObject,
} from "../../test-support/samples.ts";
import { transact } from "../connection/open-database.ts";
import { finishCheck } from "./attempts.ts";
import { findEarlierAttempts, findOriginal } from "./earlier-attempts.ts";
import { findLogJob, type JobSnapshot, listUnloadedJobs, lockUnloadedJobs, markRowsLoaded, recordJobs } from "./log-jobs.ts";
import { recordRuns } from "./runs.ts";

const snapshot = (changes: Json = {}, listedAttempt = 1): JobSnapshot => ({
  object: jobObject(changes),
  source: "listing",
  listedAttempt,
});

async function openLedgerOf(...snapshots: JobSnapshot[]) {
  const database = await openTestDatabase();
  await addRepository(database.db);
  await recordJobs(database.db, repositoryId, snapshots);
  return database;
}

test("only completed jobs are owed; the others stay with their attempt", async () => {
  await using database = await openLedgerOf();
  const statuses = ["queued", "in_progress", "waiting", "completed", null].map((status, index) =>
    snapshot({ id: jobId + index, status }),
  );
  expect(await recordJobs(database.db, repositoryId, statuses)).toBe(1);
  expect(await listUnloadedJobs(database.db, 10)).toEqual([jobId + 3]);
});

test("a job belongs to the smallest attempt that listed it, and remembers the largest", async () => {
  for (const order of [
    [1, 2, 4],
    [4, 2, 1],
    [2, 4, 1, 2],
  ]) {
    await using apart = await openLedgerOf();
    for (const attempt of order) await recordJobs(apart.db, repositoryId, [snapshot({}, attempt)]);
    await using together = await openLedgerOf(...order.map((attempt) => snapshot({}, attempt)));
    for (const { db } of [apart, together])
      expect(await findLogJob(db, jobId)).toMatchObject({ run_attempt: 1, last_listed_attempt: 4 });
  }
});

test("the object with more steps and its columns win in any order", async () => {
  const poor = snapshot({ steps: [], runner_name: null, started_at: null, completed_at: null });
  const rich = snapshot({ steps: [stepObject(1), stepObject(2)] });
  for (const batches of [[[poor], [rich]], [[rich], [poor]], [[poor, rich]], [[rich, poor]]]) {
    await using database = await openLedgerOf();
    for (const batch of batches) await recordJobs(database.db, repositoryId, batch);
    expect((await findLogJob(database.db, jobId))?.object).toEqual(rich.object);
    const columns = await database.db
      .selectFrom("archive.log_jobs")
      .select(["runner_name", "started_at", "completed_at", "expires_at"])
      .executeTakeFirst();
    expect(columns).toEqual({
      runner_name: "GitHub Actions 7",
      started_at: new Date("2026-05-01T10:00:10Z"),
      completed_at: new Date("2026-05-01T10:04:00Z"),
      expires_at: new Date("2026-07-30T10:04:00Z"),
    });
  }
});

test("a better object owes its rows again, an equal one does not", async () => {
  await using database = await openLedgerOf(snapshot());
  const { db } = database;
  await markRowsLoaded(db, [jobId]);
  await recordJobs(db, repositoryId, [snapshot({ steps: [] })]);
  expect(await listUnloadedJobs(db, 10)).toEqual([]);
  await recordJobs(db, repositoryId, [snapshot({ steps: [1, 2, 3, 4].map((number) => stepObject(number)) })]);
  expect(await listUnloadedJobs(db, 10)).toEqual([jobId]);
  const locked = await transact(db, (trx) => lockUnloadedJobs(trx, [jobId, jobId + 1]));
  expect(locked.map(({ job_id }) => job_id)).toEqual([jobId]);
});

test("an object with new facts that is no fuller is kept as well, and makes the job's rows owed again", async () => {
  await using database = await openLedgerOf(snapshot());
  const { db } = database;
  await markRowsLoaded(db, [jobId]);
  const late = snapshot({ runner_name: "rack-7", steps: [stepObject(1)] });
  for (const input of [late, snapshot(), late]) await recordJobs(db, repositoryId, [input]);
  const locked = await transact(db, (trx) => lockUnloadedJobs(trx, [jobId]));
  expect(locked.map(({ objects }) => objects)).toEqual([[jobObject(), late.object]]);
  for (let runner = 0; runner < 20; runner++) await recordJobs(db, repositoryId, [snapshot({ runner_name: `rack-${runner}` })]);
  expect((await transact(db, (trx) => lockUnloadedJobs(trx, [jobId])))[0]?.objects).toHaveLength(8);
});

test("any text that GitHub may send is kept as it came", async () => {
  const odd = {
    name: "a\0b\ud800c",
    workflow_name: "x".repeat(1_000_000),
    labels: ["\0", "\ud800"],
    head_branch: "日本語\u202E",
  };
  await using database = await openLedgerOf(snapshot(odd));
  expect((await findLogJob(database.db, jobId))?.object).toEqual(jobObject(odd));
});

test("a copy is known by its name and by the same runner, start and end in an earlier attempt", async () => {
  await using database = await openLedgerOf(snapshot(), snapshot({ id: jobId + 1 }, 2), snapshot({ id: jobId + 2 }, 3));
  expect(await findOriginal(database.db, jobId + 1)).toEqual({ job_id: jobId, log_state: "pending", log_reason: null });
  expect(await findOriginal(database.db, jobId + 2)).toEqual({ job_id: jobId, log_state: "pending", log_reason: null });
  expect(await findOriginal(database.db, jobId)).toBeUndefined();
});

test.each([
  ["another name", { name: "test" }],
  ["another runner", { runner_name: "rack-7" }],
  ["another start", { started_at: "2026-05-01T10:00:11Z" }],
  ["another end", { completed_at: "2026-05-01T10:04:01Z" }],
  ["another run", { run_id: runId + 1 }],
])("a job with %s is no copy", async (_difference, changes) => {
  await using database = await openLedgerOf(snapshot(), snapshot({ id: jobId + 1, ...changes }, 2));
  expect(await findOriginal(database.db, jobId + 1)).toBeUndefined();
});

test.each([{ runner_name: null }, { runner_name: "" }, { started_at: null }, { completed_at: null }])(
  "what both do not know makes no copy: %j",
  async (unknown) => {
    await using database = await openLedgerOf(snapshot(unknown), snapshot({ id: jobId + 1, ...unknown }, 2));
    expect(await findOriginal(database.db, jobId + 1)).toBeUndefined();
  },
);

test("two jobs of one attempt are no copies of each other", async () => {
  await using database = await openLedgerOf(snapshot({}, 2), snapshot({ id: jobId + 1 }, 2));
  expect(await findOriginal(database.db, jobId + 1)).toBeUndefined();
});

test("an earlier attempt that is not listed yet may still hold the original", async () => {
  await using database = await openLedgerOf();
  await recordRuns(database.db, repositoryId, [runObject({ run_attempt: 2 })]);
  const second = { run_id: runId, run_attempt: 2 };
  expect(await findEarlierAttempts(database.db, second)).toMatchObject({ settled: 0, known: 1 });
  await finishCheck(database.db, { run_id: runId, run_attempt: 1 }, { state: "listed", jobs: 1, missingJobIds: [] });
  expect(await findEarlierAttempts(database.db, second)).toMatchObject({ settled: 1, known: 1 });
});
