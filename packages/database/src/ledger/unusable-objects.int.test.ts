// Unusable job objects are kept with their own columns, whatever further fields the caller passes.

import { openTestDatabase } from "@actions-archive/testkit/test-database";
import { expect, test } from "vitest";

import { addRepository, repositoryId } from "../../test-support/samples.ts";
import { replaceUnusableJobs } from "./unusable-objects.ts";

test("unusable jobs of an attempt are replaced by those of its next list, and fields of the caller's rows are ignored", async () => {
  await using database = await openTestDatabase();
  const { db } = database;
  await addRepository(db, repositoryId);
  // Called as by the fetcher, with an attempt of the ledger and items of a page.
  const attempt = { repository_id: repositoryId, run_id: 7, run_attempt: 1, newest_attempt: 1, checks: 0 };
  const item = (object: unknown, problem: string) => ({ object, problem, place: 0 });
  const list = () =>
    db.selectFrom("archive.unusable_objects").select(["run_id", "job_id", "problem"]).orderBy("problem").execute();

  await replaceUnusableJobs(db, attempt, [item({ id: null }, "id is null"), item({ id: 3, run_id: null }, "run_id is null")]);
  expect(await list()).toEqual([
    { run_id: 7, job_id: null, problem: "id is null" },
    { run_id: 7, job_id: 3, problem: "run_id is null" },
  ]);
  await replaceUnusableJobs(db, attempt, [item({ id: 3, run_id: null }, "run_id is null")]);
  expect(await list()).toEqual([{ run_id: 7, job_id: 3, problem: "run_id is null" }]);
  await replaceUnusableJobs(db, attempt, []);
  expect(await list()).toEqual([]);
});
