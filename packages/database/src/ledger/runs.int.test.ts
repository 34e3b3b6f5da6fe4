// Runs of the ledger: the newest attempt describes the run, every attempt owes a check, and no state goes back.

import { openTestDatabase } from "@actions-archive/testkit/test-database";
import { expect, test } from "vitest";

import { addRepository, jobId, jobObject, repositoryId, runId, runObject } from "../../test-support/samples.ts";
import type { Database } from "../connection/open-database.ts";
import { finishCheck, listOpenAttempts } from "./attempts.ts";
import { recordJobs } from "./log-jobs.ts";
import { findListedAttempt, listUnrecordedAttempts, markAttemptRecorded } from "./recorded-attempts.ts";
import { recordRuns } from "./runs.ts";

const first = { run_id: runId, run_attempt: 1 };
const all = { onlyDue: false, limit: 100 };
const due = { onlyDue: true, limit: 100 };

async function openLedgerOf(...runs: unknown[]) {
  const database = await openTestDatabase();
  await addRepository(database.db);
  await recordRuns(database.db, repositoryId, runs);
  return database;
}

async function findRun(db: Database) {
  return db
    .selectFrom("archive.runs")
    .select(["run_attempt", "status", "conclusion", "actor", "head_branch", "updated_at"])
    .where("run_id", "=", runId)
    .executeTakeFirstOrThrow();
}

const numbers = (attempts: readonly { run_attempt: number }[]) => attempts.map(({ run_attempt }) => run_attempt);

test("a run of the third attempt owes a visit for each of its attempts", async () => {
  await using database = await openLedgerOf(runObject({ run_attempt: 3 }));
  const attempts = await listOpenAttempts(database.db, repositoryId, due);
  expect(numbers(attempts)).toEqual([1, 2, 3]);
  expect(attempts.map(({ status, newest_attempt }) => ({ status, newest_attempt }))).toEqual([
    { status: null, newest_attempt: 3 },
    { status: null, newest_attempt: 3 },
    { status: "completed", newest_attempt: 3 },
  ]);
});

test("a newer attempt updates the run, which stays one row", async () => {
  await using database = await openLedgerOf(runObject());
  const rerun = { run_attempt: 2, status: "in_progress", conclusion: null, updated_at: "2026-05-02T10:00:00Z" };
  await recordRuns(database.db, repositoryId, [runObject(rerun)]);
  expect(await findRun(database.db)).toMatchObject({ run_attempt: 2, status: "in_progress", conclusion: null });
  expect(numbers(await listOpenAttempts(database.db, repositoryId, all))).toEqual([1, 2]);
});

test("a snapshot without new facts writes nothing, and one with only a new conclusion does", async () => {
  await using database = await openLedgerOf(runObject());
  const versions = async () =>
    (await database.pool.query("select xmin, ctid from archive.runs union all select xmin, ctid from archive.attempts")).rows;
  const before = await versions();
  expect(await recordRuns(database.db, repositoryId, [runObject()])).toEqual([]);
  expect(await versions()).toEqual(before);
  await recordRuns(database.db, repositoryId, [runObject({ conclusion: "failure" })]);
  expect(await findRun(database.db)).toMatchObject({ conclusion: "failure" });
});

test("a later attempt makes the earlier ones due, for which a webhook was waited", async () => {
  const goesOn = runObject({ status: "in_progress", conclusion: null });
  await using database = await openLedgerOf(goesOn);
  await database.pool.query("update archive.attempts set check_due_at = now() + interval '1 hour'");
  expect(await listOpenAttempts(database.db, repositoryId, due)).toEqual([]);
  await recordRuns(database.db, repositoryId, [goesOn]);
  expect(await listOpenAttempts(database.db, repositoryId, due)).toEqual([]);
  await recordRuns(database.db, repositoryId, [runObject({ run_attempt: 2, updated_at: "2026-05-02T10:00:00Z" })]);
  expect(numbers(await listOpenAttempts(database.db, repositoryId, due))).toEqual([1, 2]);
});

test("an older snapshot changes nothing, whether it comes later or in the same page", async () => {
  const newer = runObject({ run_attempt: 2, conclusion: "failure", updated_at: "2026-05-02T10:00:00Z" });
  const older = runObject({ actor: { login: "hubot" } });
  const stale = runObject({ run_attempt: 2, status: "queued", conclusion: null, updated_at: "2026-05-02T09:00:00Z" });
  for (const pages of [
    [[newer], [older], [stale]],
    [[newer, older, stale]],
    [[stale, older, newer]],
    [[older], [newer, stale]],
  ]) {
    await using database = await openLedgerOf();
    for (const page of pages) await recordRuns(database.db, repositoryId, page);
    expect(await findRun(database.db)).toMatchObject({
      run_attempt: 2,
      status: "completed",
      conclusion: "failure",
      actor: "mona",
    });
    expect(numbers(await listOpenAttempts(database.db, repositoryId, all))).toEqual([1, 2]);
  }
});

test("null never replaces a known value of a run", async () => {
  await using database = await openLedgerOf(runObject());
  await recordRuns(database.db, repositoryId, [
    runObject({ actor: null, head_branch: null, updated_at: "2026-05-01T11:00:00Z" }),
  ]);
  expect(await findRun(database.db)).toMatchObject({ actor: "mona", head_branch: "main" });
});

test("an open attempt that changed is due at once, one that did not is left alone", async () => {
  await using database = await openLedgerOf(runObject({ status: "in_progress", conclusion: null }));
  const { db } = database;
  await finishCheck(db, first, { state: "open", againInSeconds: 3_600, reason: null });
  expect(await listOpenAttempts(db, repositoryId, due)).toEqual([]);
  await recordRuns(db, repositoryId, [runObject({ status: "in_progress", conclusion: null })]);
  expect(await listOpenAttempts(db, repositoryId, due)).toEqual([]);
  await recordRuns(db, repositoryId, [runObject({ updated_at: "2026-05-01T10:06:00Z" })]);
  expect(await listOpenAttempts(db, repositoryId, due)).toMatchObject([{ run_attempt: 1, status: "completed", checks: 1 }]);
});

test("a listed attempt stays closed while its run has not changed since it was listed", async () => {
  await using database = await openLedgerOf(runObject());
  const { db } = database;
  await finishCheck(db, first, { state: "listed", jobs: 1, missingJobIds: [] });
  await recordRuns(db, repositoryId, [runObject({ updated_at: "2026-05-09T10:00:00Z" })]);
  await finishCheck(db, first, { state: "gone" });
  expect(await listOpenAttempts(db, repositoryId, all)).toEqual([]);
  expect(await findListedAttempt(db, first)).toMatchObject({ repository_id: repositoryId, full_name: "acme/app" });
});

test("runs without a usable id or time are counted and cost the others nothing", async () => {
  await using database = await openLedgerOf();
  const runs = [runObject({ id: "x" }), runObject({ created_at: null }), null, runObject({ path: "a\0b\ud800", run_number: -1 })];
  const unusable = await recordRuns(database.db, repositoryId, runs);
  expect(unusable.map(({ problem }) => problem)).toEqual([
    'id is "x": no id of GitHub\'s',
    "created_at is null: no time",
    "id is missing: no id of GitHub's",
  ]);
  expect(await database.db.selectFrom("archive.runs").select("run_id").execute()).toHaveLength(1);
});

test("an attempt's story has the jobs that it listed, and is owed until it is recorded", async () => {
  await using database = await openLedgerOf(runObject({ run_attempt: 2 }));
  const { db } = database;
  const snapshot = (id: number, listedAttempt: number) => ({
    object: jobObject({ id }),
    source: "listing" as const,
    listedAttempt,
  });
  await recordJobs(db, repositoryId, [
    snapshot(jobId, 1),
    snapshot(jobId + 1, 1),
    snapshot(jobId + 1, 2),
    snapshot(jobId + 2, 2),
  ]);
  expect(await findListedAttempt(db, first)).toBeUndefined();
  const second = { run_id: runId, run_attempt: 2 };
  for (const attempt of [first, second])
    await finishCheck(db, attempt, { state: "listed", jobs: 2, missingJobIds: [], object: runObject(attempt) });
  expect((await findListedAttempt(db, first))?.jobs.map(({ job_id }) => job_id)).toEqual([jobId, jobId + 1]);
  expect((await findListedAttempt(db, second))?.jobs.map(({ job_id }) => job_id)).toEqual([jobId + 1, jobId + 2]);
  expect(await listUnrecordedAttempts(db, 10)).toEqual([first, second]);
  await markAttemptRecorded(db, first, "runs/github.com/1/2/1.json");
  expect(await listUnrecordedAttempts(db, 10)).toEqual([second]);
});

test("a final listing with jobs that never completed says which the ledger has no row of", async () => {
  await using database = await openTestDatabase();
  const { db } = database;
  await addRepository(db);
  await recordRuns(db, repositoryId, [runObject()]);
  await recordJobs(db, repositoryId, [{ object: jobObject(), source: "listing", listedAttempt: 1 }]);
  await finishCheck(db, { run_id: runId, run_attempt: 1 }, { state: "listed", jobs: 3, missingJobIds: [jobId + 1, jobId + 2] });
  const attempts = await db.selectFrom("archive.attempts").select(["state", "listed_jobs", "missing_job_ids"]).execute();
  expect(attempts).toEqual([{ state: "listed", listed_jobs: 3, missing_job_ids: [jobId + 1, jobId + 2] }]);
});

test("a run with a wild attempt is counted as unusable, and makes no rows", async () => {
  await using database = await openTestDatabase();
  await addRepository(database.db);
  const [unusable] = await recordRuns(database.db, repositoryId, [runObject({ run_attempt: 2_000_000_000 })]);
  expect(unusable?.problem).toBe("run_attempt is 2000000000: no number from 1 to 1000");
  expect(await database.db.selectFrom("archive.attempts").selectAll().execute()).toEqual([]);
});
