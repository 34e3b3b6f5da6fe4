// Loads the rows of a batch except refused ones, and loses no object that improved meanwhile.

import { jobId, stepObject } from "@actions-archive/database/test-support/samples";
import { expect, test } from "vitest";

import { openHarness } from "../../test-support/harness.ts";
import { loadJobs } from "./load-jobs.ts";

const owed = "select job_id, rows_loaded_at is null as owed, log_state, log_reason from archive.log_jobs order by job_id";

test("a job's rows are loaded before its log is archived, and its log is pending", async () => {
  await using harness = await openHarness();
  const job_id = await harness.owe();
  await loadJobs(harness.loader, [job_id]);
  expect(await harness.ask("select repository, job_id, event, actor, log_state, duration_seconds from audit.jobs")).toEqual([
    { repository: "acme/app", job_id, event: "push", actor: "mona", log_state: "pending", duration_seconds: 230 },
  ]);
  expect(await harness.ask("select step_number from audit.steps order by 1")).toEqual(
    [1, 2, 9].map((step_number) => ({ step_number })),
  );
  expect(await harness.ask(owed)).toMatchObject([{ owed: false }]);
});

test("loading again, and together with a job that is not owed, changes nothing", async () => {
  await using harness = await openHarness();
  const job_id = await harness.owe();
  await loadJobs(harness.loader, [job_id]);
  const before = await harness.rows();
  await loadJobs(harness.loader, [job_id, job_id + 99]);
  expect(await harness.rows()).toEqual(before);
});

test("a refused row becomes unloadable, and the rest of its batch loads", async () => {
  await using harness = await openHarness();
  await harness.ask("alter table archive.steps add constraint picky check (step_name <> 'poison')");
  const jobs = [
    await harness.owe(),
    await harness.owe({ id: jobId + 1, steps: [stepObject(1, { name: "poison" })] }),
    await harness.owe({ id: jobId + 2 }),
  ];
  await loadJobs(harness.loader, jobs);
  expect(await harness.ask("select job_id from archive.jobs order by 1")).toEqual([{ job_id: jobId }, { job_id: jobId + 2 }]);
  expect(await harness.ask(owed)).toEqual([
    { job_id: jobId, owed: false, log_state: "pending", log_reason: null },
    { job_id: jobId + 1, owed: false, log_state: "failed", log_reason: "unloadable" },
    { job_id: jobId + 2, owed: false, log_state: "pending", log_reason: null },
  ]);
  expect(harness.errors).toEqual(["row refused"]);
});

test("a batch that Postgres cannot take now fails whole and calls nothing unloadable", async () => {
  await using harness = await openHarness();
  const job_id = await harness.owe();
  await harness.ask(`create function public.away() returns trigger language plpgsql as $$
    begin raise exception 'shutting down' using errcode = '57P01'; end $$`);
  await harness.ask("create trigger away before insert on archive.jobs execute function public.away()");
  await expect(loadJobs(harness.loader, [job_id])).rejects.toMatchObject({ code: "database/unavailable" });
  expect(await harness.ask(owed)).toMatchObject([{ owed: true, log_state: "pending" }]);
});

test("an object that improves after it was loaded is loaded again, and adds its steps", async () => {
  await using harness = await openHarness();
  const job_id = await harness.owe({ steps: [] });
  await loadJobs(harness.loader, [job_id]);
  await harness.owe({ steps: [stepObject(1), stepObject(2)] });
  expect(await harness.ask(owed)).toMatchObject([{ owed: true }]);
  await loadJobs(harness.loader, [job_id]);
  expect(await harness.ask("select step_number from archive.steps order by 1")).toEqual([{ step_number: 1 }, { step_number: 2 }]);
});
