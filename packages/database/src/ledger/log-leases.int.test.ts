// Leases of logs, crash counts, and equal logs that are found before they are loaded.

import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { createLogger } from "@actions-archive/core/logger";
import { openTestDatabase } from "@actions-archive/testkit/test-database";
import { openTestPostgres } from "@actions-archive/testkit/test-postgres";
import { sql } from "kysely";
import { expect, test } from "vitest";

import { openDatabase } from "../connection/open-database.ts";
import { migrateDatabase } from "../migration/migrate.ts";
import { recordJobs } from "./log-jobs.ts";
import { findSameLog, resetCrashCount, deleteLogLeases, releaseLogLease, renewLogLeases, acquireLogLease } from "./log-leases.ts";
import { selectRepositories } from "./repositories.ts";

const jobIds = [70_000_000_001, 70_000_000_002, 70_000_000_003];
const [jobId = 0, other = 0, third = 0] = jobIds;

async function openJobs() {
  const database = await openTestDatabase();
  const { db } = database;
  await selectRepositories(db, [{ repository_id: 1, full_name: "octo-org/api", is_private: false }]);
  const snapshots = jobIds.map((id) => ({
    object: { id, run_id: 5, run_attempt: 1, status: "completed", conclusion: "success", steps: [] },
    source: "listing" as const,
    listedAttempt: 1,
  }));
  await recordJobs(db, 1, snapshots);
  const begin = (worker: string, isAlone = false) => acquireLogLease(db, { jobId, worker, isAlone });
  /** Simulates the passing of time. */
  const endLease = () => db.updateTable("archive.log_leases").set({ leased_until: null }).execute();
  const beginAfter = async (worker: string, isAlone = false) => {
    await endLease();
    return begin(worker, isAlone);
  };
  const workerOf = async () =>
    (await db.selectFrom("archive.log_leases").select("worker").where("job_id", "=", jobId).executeTakeFirst())?.worker;
  return { db, begin, beginAfter, endLease, workerOf, [Symbol.asyncDispose]: () => database[Symbol.asyncDispose]() };
}

test("an expired lease of another worker is a crash, an unfinished one of the same worker is not", async () => {
  await using jobs = await openJobs();
  expect(await jobs.begin("a")).toEqual({ crashes: 0 });
  expect(await jobs.begin("a")).toEqual({ crashes: 0 });
  expect(await jobs.beginAfter("a")).toEqual({ crashes: 0 });
  expect(await jobs.beginAfter("b")).toEqual({ crashes: 1 });
  await releaseLogLease(jobs.db, { jobId, worker: "a" });
  expect(await jobs.workerOf()).toBe("b");
  await releaseLogLease(jobs.db, { jobId, worker: "b" });
  expect(await jobs.begin("c")).toEqual({ crashes: 1 });
});

test("a worker whose lease runs has the log for itself, and is no death, however often others are sent", async () => {
  await using jobs = await openJobs();
  await jobs.begin("a");
  for (const worker of ["b", "c", "d", "e"]) {
    const held = await jobs.begin(worker, worker === "e");
    const heldForMs = "heldForMs" in held ? held.heldForMs : 0;
    expect(heldForMs).toBeGreaterThan(10_000);
    // The queue reassigns a dead worker's log after 40 s; the test does not wait.
    expect(heldForMs).toBeLessThanOrEqual(25_000);
  }
  expect(await jobs.workerOf()).toBe("a");
  await releaseLogLease(jobs.db, { jobId, worker: "a" });
  expect(await jobs.begin("b")).toEqual({ crashes: 0 });
});

test("a lease that was renewed runs again, and only its own worker renews it", async () => {
  await using jobs = await openJobs();
  await jobs.begin("a");
  await jobs.endLease();
  await renewLogLeases(jobs.db, { jobIds, worker: "b" });
  await renewLogLeases(jobs.db, { jobIds: [other, third], worker: "a" });
  expect(await jobs.begin("b")).toEqual({ crashes: 1 });
  await jobs.endLease();
  await renewLogLeases(jobs.db, { jobIds, worker: "b" });
  expect(await jobs.begin("c")).toMatchObject({ heldForMs: expect.any(Number) as number });
});

test("a lease that could not be renewed while Postgres was unavailable counts from its start", { timeout: 60_000 }, async () => {
  await using resources = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "actions-archive-postgres-"));
  resources.defer(() => rm(folder, { recursive: true, force: true }));
  // Postgres runs as another user than root.
  await chmod(folder, 0o711);
  const start = () => openTestPostgres({ url: undefined, folder, log: createLogger("test", "silent") });
  {
    await using server = await start();
    await migrateDatabase(server.url);
    await using database = await openDatabase({ url: server.url, applicationName: "test" });
    await acquireLogLease(database.db, { jobId, worker: "a", isAlone: false });
    await sql`update archive.log_leases set leased_until = now() - interval '1 hour'`.execute(database.db);
  }
  const { url } = resources.use(await start());
  const { db } = resources.use(await openDatabase({ url, applicationName: "test" }));
  const held = await acquireLogLease(db, { jobId, worker: "b", isAlone: false });
  expect("heldForMs" in held ? held.heldForMs : 0).toBeGreaterThan(0);
  await renewLogLeases(db, { jobIds: [jobId], worker: "a" });
  expect(await acquireLogLease(db, { jobId, worker: "b", isAlone: false })).toHaveProperty("heldForMs");
});

test("after three crashes a log is in flight only alone, and a fourth death was its own", async () => {
  await using jobs = await openJobs();
  for (const [crashes, worker] of ["a", "b", "c"].entries()) expect(await jobs.beginAfter(worker)).toEqual({ crashes });
  expect(await jobs.beginAfter("d")).toEqual({ crashes: 3 });
  expect(await jobs.workerOf()).toBeNull();
  expect(await jobs.begin("d", true)).toEqual({ crashes: 3 });
  expect(await jobs.workerOf()).toBe("d");
  expect(await jobs.beginAfter("e")).toEqual({ crashes: 4 });
  expect(await jobs.workerOf()).toBeNull();
  await resetCrashCount(jobs.db, jobId);
  expect(await jobs.begin("e")).toEqual({ crashes: 3 });
});

test("logs with the same raw hash and length are the same, once they are read and until their records are loaded", async () => {
  await using jobs = await openJobs();
  const rawSha256 = "ab".repeat(32);
  for (const id of jobIds) await acquireLogLease(jobs.db, { jobId: id, worker: "a", isAlone: false });
  expect(await findSameLog(jobs.db, { jobId, rawSha256, rawBytes: 3_000_000_000 })).toBeUndefined();
  await releaseLogLease(jobs.db, { jobId, worker: "a" });
  expect(await findSameLog(jobs.db, { jobId: third, rawSha256, rawBytes: 2 })).toBeUndefined();
  expect(await findSameLog(jobs.db, { jobId: other, rawSha256, rawBytes: 3_000_000_000 })).toBe(jobId);
  const both = await Promise.all([jobId, other].map((id) => findSameLog(jobs.db, { jobId: id, rawSha256, rawBytes: 9 })));
  expect(both.some((same) => same !== undefined)).toBe(true);
  await deleteLogLeases(jobs.db, [jobId]);
  expect(await findSameLog(jobs.db, { jobId: other, rawSha256, rawBytes: 9 })).toBeUndefined();
});
