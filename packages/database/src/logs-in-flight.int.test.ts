// Who works on a log, how many workers died of it, and which logs are alike before any of them is loaded.

import { openTestDatabase } from "@actions-archive/testkit/test-database";
import { expect, test } from "vitest";

import { findSameLog, forgetDeathAlone, forgetLogsInFlight, land, takeOff } from "./logs-in-flight.ts";
import { recordJobs } from "./obligations.ts";
import { selectRepositories } from "./repositories.ts";

const jobIds = [70_000_000_001, 70_000_000_002, 70_000_000_003];
const [jobId = 0, other = 0, third = 0] = jobIds;

async function openJobs() {
  const database = await openTestDatabase();
  const { db } = database;
  await selectRepositories(db, [{ repository_id: 1, full_name: "octo-org/api", is_private: false }]);
  const sightings = jobIds.map((id) => ({
    object: { id, run_id: 5, run_attempt: 1, status: "completed", conclusion: "success", steps: [] },
    source: "listing" as const,
    listedAttempt: 1,
  }));
  await recordJobs(db, 1, sightings);
  const begin = (worker: string, isAlone = false) => takeOff(db, { jobId, worker, isAlone });
  const workerOf = async () =>
    (await db.selectFrom("archive.logs_in_flight").select("worker").where("job_id", "=", jobId).executeTakeFirst())?.worker;
  return { db, begin, workerOf, [Symbol.asyncDispose]: () => database[Symbol.asyncDispose]() };
}

test("what another worker left in flight is a death, what the same worker did not finish is none", async () => {
  await using jobs = await openJobs();
  expect(await jobs.begin("a")).toBe(0);
  expect(await jobs.begin("a")).toBe(0);
  expect(await jobs.begin("b")).toBe(1);
  await land(jobs.db, { jobId, worker: "a" });
  expect(await jobs.workerOf()).toBe("b");
  await land(jobs.db, { jobId, worker: "b" });
  expect(await jobs.begin("c")).toBe(1);
});

test("after three deaths a log is in flight only alone, and a fourth death was its own", async () => {
  await using jobs = await openJobs();
  for (const [deaths, worker] of ["a", "b", "c"].entries()) expect(await jobs.begin(worker)).toBe(deaths);
  expect(await jobs.begin("d")).toBe(3);
  expect(await jobs.workerOf()).toBeNull();
  expect(await jobs.begin("d", true)).toBe(3);
  expect(await jobs.workerOf()).toBe("d");
  expect(await jobs.begin("e")).toBe(4);
  expect(await jobs.workerOf()).toBeNull();
  await forgetDeathAlone(jobs.db, jobId);
  expect(await jobs.begin("e")).toBe(3);
});

test("logs with the same raw hash and length are the same, once they are read and until their records are loaded", async () => {
  await using jobs = await openJobs();
  const rawSha256 = "ab".repeat(32);
  for (const id of jobIds) await takeOff(jobs.db, { jobId: id, worker: "a", isAlone: false });
  expect(await findSameLog(jobs.db, { jobId, rawSha256, rawBytes: 3_000_000_000 })).toBeUndefined();
  await land(jobs.db, { jobId, worker: "a" });
  expect(await findSameLog(jobs.db, { jobId: third, rawSha256, rawBytes: 2 })).toBeUndefined();
  expect(await findSameLog(jobs.db, { jobId: other, rawSha256, rawBytes: 3_000_000_000 })).toBe(jobId);
  const both = await Promise.all([jobId, other].map((id) => findSameLog(jobs.db, { jobId: id, rawSha256, rawBytes: 9 })));
  expect(both.some((same) => same !== undefined)).toBe(true);
  await forgetLogsInFlight(jobs.db, [jobId]);
  expect(await findSameLog(jobs.db, { jobId: other, rawSha256, rawBytes: 9 })).toBeUndefined();
});
