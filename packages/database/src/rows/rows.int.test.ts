// The auditor's rows depend on the known facts, not on their order of arrival.

import { openTestDatabase } from "@actions-archive/testkit/test-database";
import fc from "fast-check";
import { expect, test } from "vitest";

import { jobId, jobObject, logRow, repositoryId, stepObject } from "../../test-support/samples.ts";
import type { Database } from "../connection/open-database.ts";
import { type JobInput, type LogRow, upsertJobs, upsertLogs } from "./rows.ts";

/** A delivery: a job object, and with a record the state of its log. */
type Message = { readonly story: JobInput; readonly log?: LogRow };

const oneOf = <T>(...values: T[]) => fc.constantFrom(...values);
const status = oneOf("queued", "in_progress", "completed", null);
const time = oneOf("2026-05-01T10:00:10Z", "2026-05-01T03:00:11.000-07:00", null, "soon");

const step = fc
  .record({
    number: oneOf(1, 2, 16),
    name: oneOf("build", "test", null),
    status,
    conclusion: oneOf("success", null),
    started_at: time,
    completed_at: time,
  })
  .map(({ number, ...changes }) => stepObject(number, changes));

const story = fc
  .record({
    id: oneOf(jobId, jobId + 1, jobId + 2),
    name: oneOf("build", "Build", "日本語", null),
    status,
    conclusion: oneOf("success", "failure", null),
    runner_id: oneOf(0, 7, null),
    runner_name: oneOf("", "rack-7", null),
    labels: oneOf([], ["ubuntu-24.04"], ["self-hosted", "gpu"], null),
    started_at: time,
    completed_at: time,
    steps: fc.oneof(fc.constant(null), fc.array(step, { maxLength: 4 })),
  })
  .chain((changes) =>
    fc.record({ run_attempt: oneOf(1, 2), last_listed_attempt: oneOf(2, 3) }).map((attempts): JobInput => ({
      repository_id: repositoryId,
      ...attempts,
      object: jobObject(changes),
    })),
  );

/** Version 2 of a record is archived, the others are not: one key has one content. */
const message = fc.tuple(story, oneOf(undefined, 1, 2, 3)).map(([input, version]): Message => {
  const { id } = input.object as { id: number };
  if (version === undefined) return { story: input };
  return { story: input, log: logRow({ job_id: id, version, state: version === 2 ? "archived" : "absent" }) };
});

async function deliver(db: Database, messages: readonly Message[]): Promise<void> {
  await db.transaction().execute(async (trx) => {
    await upsertJobs(
      trx,
      messages.map(({ story: input }) => input),
    );
    await upsertLogs(
      trx,
      messages.flatMap(({ log }) => (log ? [log] : [])),
    );
  });
}

test("any order, repetition and split of the same deliveries ends in the same rows", async () => {
  await using database = await openTestDatabase();
  const { db, pool } = database;
  const load = async (batches: readonly (readonly Message[])[]) => {
    await pool.query("truncate archive.jobs, archive.steps, archive.logs cascade");
    for (const batch of batches) await deliver(db, batch);
    const ask = async (table: string) => {
      const { rows } = await pool.query<{ row: unknown }>(
        `select to_jsonb(t) - 'loaded_at' as row from archive.${table} t order by 1`,
      );
      return rows.map(({ row }) => row);
    };
    return { jobs: await ask("jobs"), steps: await ask("steps"), logs: await ask("logs") };
  };
  const deliveries = fc.array(message, { minLength: 1, maxLength: 6 }).chain((messages) =>
    fc.record({
      messages: fc.constant(messages),
      order: fc.shuffledSubarray([...messages, ...messages], { minLength: messages.length * 2 }),
      cuts: fc.array(fc.nat(messages.length * 2), { maxLength: 3 }),
    }),
  );
  await fc.assert(
    fc.asyncProperty(deliveries, async ({ messages, order, cuts }) => {
      const borders = [0, ...cuts.toSorted((a, b) => a - b), order.length];
      const batches = borders.slice(1).map((end, index) => order.slice(borders[index], end));
      expect(await load(batches)).toEqual(await load(messages.map((each) => [each])));
    }),
    { numRuns: 80 },
  );
});

test("an archived log outranks an absent one of a higher version, and the highest version of its kind is in force", async () => {
  for (const versions of [
    [1, 2, 3],
    [3, 2, 1],
    [2, 3, 1],
  ]) {
    for (const isTogether of [true, false]) {
      await using database = await openTestDatabase();
      const input: JobInput = { repository_id: repositoryId, run_attempt: 1, last_listed_attempt: 1, object: jobObject() };
      const messages = versions.map((version) => ({
        story: input,
        log: logRow({ version, state: version === 2 ? "archived" : "absent" }),
      }));
      for (const batch of isTogether ? [messages] : messages.map((each) => [each])) await deliver(database.db, batch);
      const rows = await database.db.selectFrom("archive.logs").select(["log_state", "record_version", "raw_bytes"]).execute();
      expect(rows).toEqual([{ log_state: "archived", record_version: 2, raw_bytes: 5_000_000_002 }]);
    }
  }
});

test("names of any kind and a megabyte long are loaded, and every step by its own number", async () => {
  await using database = await openTestDatabase();
  const name = `a\0b\ud800 ${"日本語".repeat(120_000)}`;
  const object = jobObject({
    name,
    labels: ["\0", "\ud800", "{a,b}", '"'],
    steps: [stepObject(1, { name }), stepObject(16), stepObject(17)],
  });
  await deliver(database.db, [{ story: { repository_id: repositoryId, run_attempt: 1, last_listed_attempt: 1, object } }]);
  const job = await database.db.selectFrom("archive.jobs").select(["job_id", "job_name", "labels"]).executeTakeFirst();
  expect(job).toEqual({
    job_id: jobId,
    job_name: `a\uFFFDb\uFFFD ${"日本語".repeat(120_000)}`,
    labels: ["\uFFFD", "\uFFFD", "{a,b}", '"'],
  });
  const steps = await database.db.selectFrom("archive.steps").select("step_number").orderBy("step_number").execute();
  expect(steps.map(({ step_number }) => step_number)).toEqual([1, 16, 17]);
});

test("bytes decide which of two texts stays, in any database locale", async () => {
  for (const names of [
    ["build", "Build"],
    ["Build", "build"],
  ]) {
    await using database = await openTestDatabase();
    for (const name of names) {
      const object = jobObject({ name, steps: [stepObject(1, { name })] });
      await deliver(database.db, [{ story: { repository_id: repositoryId, run_attempt: 1, last_listed_attempt: 1, object } }]);
    }
    const rows = await database.db
      .selectFrom("archive.jobs")
      .innerJoin("archive.steps", "archive.steps.job_id", "archive.jobs.job_id")
      .select(["job_name", "step_name"])
      .execute();
    expect(rows).toEqual([{ job_name: "build", step_name: "build" }]);
  }
});

test("times of any offset are the right instant, and durations whole seconds that are never negative", async () => {
  await using database = await openTestDatabase();
  await database.pool.query("insert into archive.identity (archive_id, host) values (gen_random_uuid(), 'github.com')");
  const steps = [
    stepObject(1, { started_at: "2020-01-20T09:42:40.000-08:00", completed_at: "2020-01-20T17:44:39.900Z" }),
    stepObject(2, { started_at: "2020-01-20T17:44:39Z", completed_at: "2020-01-20T17:44:37Z" }),
    stepObject(3, { started_at: "2020-01-20T17:44:39Z", completed_at: null }),
  ];
  await deliver(database.db, [
    { story: { repository_id: repositoryId, run_attempt: 1, last_listed_attempt: 1, object: jobObject({ steps }) } },
  ]);
  const rows = await database.db
    .selectFrom("audit.steps")
    .select(["started_at", "duration_seconds"])
    .orderBy("step_number")
    .execute();
  expect(rows).toEqual([
    { started_at: new Date("2020-01-20T17:42:40Z"), duration_seconds: 119 },
    { started_at: new Date("2020-01-20T17:44:39Z"), duration_seconds: 0 },
    { started_at: new Date("2020-01-20T17:44:39Z"), duration_seconds: null },
  ]);
});
