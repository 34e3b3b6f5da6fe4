// Compares the feeder's query with a plain implementation: for any ledger the same jobs in the same order.

import { openTestDatabase, type TestDatabase } from "@actions-archive/testkit/test-database";
import fc from "fast-check";
import { expect, test } from "vitest";

import { addRepository, jobId, jobObject, repositoryId, runId } from "../../test-support/samples.ts";
import { listDueLogs } from "./due-logs.ts";

const hour = 3_600_000;

type Job = {
  readonly repository: number;
  readonly state: "pending" | "failed" | "archived" | "absent";
  readonly dueIn: number;
  readonly expiresIn: number | null;
  readonly completedAgo: number | null;
  readonly backfill: number | null;
  readonly recheckIn: number | null;
};

const usual: Job = {
  repository: 1,
  state: "pending",
  dueIn: -1,
  expiresIn: 1000,
  completedAgo: 1,
  backfill: null,
  recheckIn: null,
};

/** Three repositories of two credentials, one without; two backfills, the second paused; jobs with ids from `jobId` on, times in hours. */
async function openLedgerOf(jobs: readonly Job[]): Promise<TestDatabase> {
  const database = await openTestDatabase();
  const { db, pool } = database;
  for (const index of [1, 2, 3, 4]) await addRepository(db, repositoryId + index, `octo/${index}`);
  await pool.query(
    `update archive.repositories set credential = case repository_id - ${repositoryId} when 1 then 'a' when 2 then 'a' when 3 then 'b' end`,
  );
  await pool.query("insert into archive.credentials (credential) values ('a'), ('b')");
  await pool.query(
    "insert into archive.backfills (state, asked_for, since, until) values ('running', '{}', '2026-01-01', now()), ('paused', '{}', '2026-01-01', now())",
  );
  await write(database, jobs);
  return database;
}

async function write({ db }: TestDatabase, jobs: readonly Job[]): Promise<void> {
  const now = Date.now();
  const later = (hours: number | null) => (hours === null ? null : new Date(now + hours * hour));
  await db.deleteFrom("archive.log_jobs").execute();
  for (const [index, { repository, state, dueIn, expiresIn, completedAgo, backfill, recheckIn }] of jobs.entries()) {
    await db
      .insertInto("archive.log_jobs")
      .values({
        job_id: jobId + index,
        repository_id: repositoryId + repository,
        run_id: runId,
        run_attempt: 1,
        last_listed_attempt: 1,
        object: JSON.stringify(jobObject()),
        object_source: "listing",
        object_received_at: new Date(),
        log_state: state,
        due_at: later(dueIn) ?? new Date(),
        expires_at: later(expiresIn),
        completed_at: completedAgo === null ? null : later(-completedAgo),
        recheck_at: later(recheckIn),
        backfill_id: backfill,
      })
      .execute();
  }
}

const indexesOf = async (database: TestDatabase, queued: readonly number[], maxPerCredential: number) =>
  (await listDueLogs(database.db, { queued: queued.map((index) => jobId + index), maxPerCredential })).map((id) => id - jobId);

test("what expires within two days comes first, then the newest live jobs, failed ones, and backfills by expiry", async () => {
  await using database = await openLedgerOf([
    { ...usual, backfill: 1, expiresIn: -5 },
    { ...usual, backfill: 1, expiresIn: 500 },
    { ...usual, backfill: 1, expiresIn: 400 },
    { ...usual, state: "failed" },
    { ...usual, completedAgo: 2 },
    { ...usual, completedAgo: 1 },
    { ...usual, backfill: 1, expiresIn: 40 },
    { ...usual, completedAgo: 90, expiresIn: 20 },
    { ...usual, backfill: 2 },
  ]);
  expect(await indexesOf(database, [], 100)).toEqual([7, 6, 5, 4, 3, 2, 1, 0]);
});

test("a credential gets as many as it has room for, and one that is full or pauses gets none", async () => {
  const jobs = [1, 1, 2, 3, 3, 4].map((repository, index) => ({ ...usual, repository, completedAgo: 1 + index }));
  await using database = await openLedgerOf(jobs);
  expect(await indexesOf(database, [], 2)).toEqual([0, 1, 3, 4, 5]);
  expect(await indexesOf(database, [0], 2)).toEqual([1, 3, 4, 5]);
  expect(await indexesOf(database, [0, 2], 2)).toEqual([3, 4, 5]);
  await database.pool.query("update archive.credentials set paused_until = now() + interval '1 minute' where credential = 'b'");
  expect(await indexesOf(database, [], 100)).toEqual([0, 1, 2, 5]);
});

// Hours at a distance from every border, so that the database's clock does not decide.
const anyJob: fc.Arbitrary<Job> = fc.record({
  repository: fc.constantFrom(1, 2, 3, 4),
  state: fc.constantFrom("pending", "pending", "failed", "archived", "absent"),
  dueIn: fc.constantFrom(-2, -1, -3, 1),
  expiresIn: fc.option(fc.integer({ min: -20, max: 20 }).map((days) => days * 24 + 12)),
  completedAgo: fc.option(fc.integer({ min: 1, max: 50 })),
  backfill: fc.constantFrom(null, null, 1, 2),
  recheckIn: fc.option(fc.constantFrom(-3, -2, 2)),
});

function laneOf({ state, dueIn, expiresIn, completedAgo, backfill, recheckIn }: Job): readonly [number, number] | undefined {
  if (state === "archived" || state === "absent") return recheckIn !== null && recheckIn < 0 ? [3, recheckIn] : undefined;
  if (dueIn > 0 || backfill === 2) return undefined;
  if (state === "failed") return [3, dueIn];
  if (expiresIn !== null && expiresIn > 0 && expiresIn < 48) return [1, expiresIn];
  if (backfill === null) return [2, completedAgo ?? Infinity];
  return expiresIn !== null && expiresIn > 0 ? [4, expiresIn] : [5, expiresIn === null ? Infinity : -expiresIn];
}

function expectedOf(jobs: readonly Job[], queued: readonly number[], most: number): number[] {
  const credentialOf = (index: number) => ["", "a", "a", "b", ""][jobs[index]?.repository ?? 0] ?? "";
  const room = new Map(
    ["", "a", "b"].map((name) => [name, most - queued.filter((index) => credentialOf(index) === name).length]),
  );
  return jobs
    .flatMap((job, index) => {
      const lane = laneOf(job);
      return lane === undefined || queued.includes(index) ? [] : [{ index, lane }];
    })
    .toSorted(({ lane: [a, b], index: i }, { lane: [c, d], index: j }) => a - c || (b === d ? 0 : b - d) || i - j)
    .filter(({ index }) => {
      const left = room.get(credentialOf(index)) ?? 0;
      room.set(credentialOf(index), left - 1);
      return left > 0;
    })
    .map(({ index }) => index);
}

test("for any ledger it is the rule's answer", async () => {
  await using database = await openLedgerOf([]);
  const ledger = fc.array(anyJob, { maxLength: 25 });
  await fc.assert(
    fc.asyncProperty(
      ledger,
      fc.integer({ min: 1, max: 8 }),
      fc.array(fc.nat(24), { maxLength: 6 }),
      async (jobs, most, picks) => {
        await write(database, jobs);
        const queued = [...new Set(picks)].filter((index) => index < jobs.length);
        expect(await indexesOf(database, queued, most)).toEqual(expectedOf(jobs, queued, most));
      },
    ),
    { numRuns: 60 },
  );
});
