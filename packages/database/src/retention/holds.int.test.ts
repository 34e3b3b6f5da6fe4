// Holds: the newest row of a job is in force, and earlier rows stay.

import { openTestDatabase } from "@actions-archive/testkit/test-database";
import { expect, test } from "vitest";

import { openRetention } from "../../test-support/retention.ts";
import { jobId } from "../../test-support/samples.ts";
import { holdJobs, listHolds } from "./holds.ts";

async function openHolds() {
  const database = await openTestDatabase();
  const archive = openRetention(database);
  await archive.addArchive();
  for (const id of [jobId, jobId + 1]) await archive.addLog({ id });
  const rows = () => archive.ask("select job_id, is_held, reason from audit.holds order by hold_id");
  return { ...archive, rows, [Symbol.asyncDispose]: () => database[Symbol.asyncDispose]() };
}

test("a hold is set once, gets another reason as another row, and is released", async () => {
  await using archive = await openHolds();
  const hold = (isHeld: boolean, reason: string | null) => holdJobs(archive.db, { jobIds: [jobId, jobId], isHeld, reason });
  expect(await hold(true, "matter 7")).toMatchObject([
    { job_id: jobId, repository: "acme/app", is_held: true, reason: "matter 7", is_changed: true, log_state: "archived" },
  ]);
  expect(await hold(true, "matter 7")).toMatchObject([{ is_changed: false }]);
  expect(await hold(true, null)).toMatchObject([{ is_changed: false, reason: "matter 7" }]);
  expect(await hold(true, "matter 8")).toMatchObject([{ is_changed: true }]);
  expect(await listHolds(archive.db)).toMatchObject([{ job_id: jobId, repository: "acme/app", reason: "matter 8" }]);
  expect(await hold(false, "closed")).toMatchObject([{ is_held: false, is_changed: true }]);
  expect(await listHolds(archive.db)).toEqual([]);
  expect(await archive.rows()).toEqual([
    { job_id: jobId, is_held: true, reason: "matter 7" },
    { job_id: jobId, is_held: true, reason: "matter 8" },
    { job_id: jobId, is_held: false, reason: "closed" },
  ]);
});

test("of several jobs all are held or none: one that is not known, or not held when it is to be released, is named", async () => {
  await using archive = await openHolds();
  const unknown = holdJobs(archive.db, { jobIds: [jobId, 5], isHeld: true, reason: null });
  await expect(unknown).rejects.toThrow("No job 5 is known. No hold was changed");
  await holdJobs(archive.db, { jobIds: [jobId], isHeld: true, reason: null });
  const free = holdJobs(archive.db, { jobIds: [jobId, jobId + 1], isHeld: false, reason: null });
  await expect(free).rejects.toThrow(`Job ${jobId + 1} in acme/app is not on hold`);
  expect(await listHolds(archive.db)).toMatchObject([{ job_id: jobId }]);
});
