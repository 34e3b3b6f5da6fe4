// Logs that `retry` makes due, and those that it leaves unchanged.

import { openTestDatabase } from "@actions-archive/testkit/test-database";
import { expect, test } from "vitest";

import { addLedger, addRun, jobIdOf, type JobRow } from "../../test-support/ledger.ts";
import { listDueLogs } from "./due-logs.ts";
import { listUnloadedJobs } from "./log-jobs.ts";
import { failLog, listLogStatuses, retryFailedLogs } from "./log-states.ts";

const id = 700_000_001;
const pending: JobRow = { attempt: 1, state: "pending" };

/** Jobs 0 to 3 of one repository and one of another have failed, each not due for long; job 4 is archived. */
async function openFailed() {
  const database = await openTestDatabase();
  const { db } = database;
  const run = { createdAt: new Date("2026-05-01T00:00:00Z"), attempts: [{ state: "listed" as const }] };
  await addLedger(db, id, "acme/app");
  await addRun(db, id, { ...run, run_id: 1, jobs: [pending, pending, pending, pending, { attempt: 1, state: "archived" }] });
  await addLedger(db, id + 1, "acme/web");
  await addRun(db, id + 1, { ...run, run_id: 2, jobs: [pending] });
  await failLog(db, jobIdOf(1, 0), "forbidden", "403");
  await failLog(db, jobIdOf(1, 1), "too_large", "3 GiB");
  await failLog(db, jobIdOf(1, 2), "unloadable", "refused");
  await failLog(db, jobIdOf(1, 3), "forbidden", "403");
  await failLog(db, jobIdOf(2, 0), "forbidden", "403");
  return database;
}

test("without a choice every failed log is pending and due now", async () => {
  await using database = await openFailed();
  expect(await listDueLogs(database.db, { queued: [], maxPerCredential: 100 })).toEqual([]);
  const jobs = [0, 1, 2, 3].map((index) => jobIdOf(1, index));
  expect(await retryFailedLogs(database.db, {})).toEqual([
    { job_id: jobs[0], repository: "acme/app", reason: "forbidden" },
    { job_id: jobs[1], repository: "acme/app", reason: "too_large" },
    { job_id: jobs[2], repository: "acme/app", reason: "unloadable" },
    { job_id: jobs[3], repository: "acme/app", reason: "forbidden" },
    { job_id: jobIdOf(2, 0), repository: "acme/web", reason: "forbidden" },
  ]);
  expect((await listDueLogs(database.db, { queued: [], maxPerCredential: 100 })).toSorted((a, b) => a - b)).toEqual([
    ...jobs,
    jobIdOf(2, 0),
  ]);
  const standings = await listLogStatuses(database.db, [jobs[0] ?? 0, jobIdOf(1, 4), 5]);
  expect(standings.map(({ job_id, log_state }) => [job_id, log_state])).toEqual([
    [jobs[0], "pending"],
    [jobIdOf(1, 4), "archived"],
  ]);
});

test("ids, a reason and a repository filter, and combine", async () => {
  await using database = await openFailed();
  const retry = async (choice: Parameters<typeof retryFailedLogs>[1]) =>
    (await retryFailedLogs(database.db, choice)).map(({ job_id }) => job_id);
  expect(await retry({ reason: "forbidden", repository: "ACME/app" })).toEqual([jobIdOf(1, 0), jobIdOf(1, 3)]);
  expect(await retry({ reason: "forbidden", repository: "acme/app" })).toEqual([]);
  expect(await retry({ jobIds: [jobIdOf(1, 0), jobIdOf(1, 1), jobIdOf(1, 4)], reason: "too_large" })).toEqual([jobIdOf(1, 1)]);
  expect(await retry({ jobIds: [] })).toEqual([]);
  expect(await retry({ repository: "acme/none" })).toEqual([]);
});

test("a job that no table took is loaded again", async () => {
  await using database = await openFailed();
  expect(await listUnloadedJobs(database.db, 10)).toEqual([]);
  await retryFailedLogs(database.db, {});
  expect(await listUnloadedJobs(database.db, 10)).toEqual([jobIdOf(1, 2)]);
});
