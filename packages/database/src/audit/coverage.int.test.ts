// Compares audit.coverage with a model in TypeScript.

import { openTestDatabase } from "@actions-archive/testkit/test-database";
import fc from "fast-check";
import { sql } from "kysely";
import { expect, test } from "vitest";

import {
  addLedger,
  addRun,
  jobIdOf,
  type AttemptRow,
  type JobRow,
  type RunRow,
  setRepository,
} from "../../test-support/ledger.ts";
import type { Database } from "../connection/open-database.ts";
import { addWindow, listWindows, markFullSecond } from "../ledger/windows.ts";
import { listRepositoryCoverage } from "./coverage.ts";

const id = 700_000_001;
const at = (text: string) => new Date(`2026-05-${text}Z`);
const listed: AttemptRow = { state: "listed" };
const archived: JobRow = { attempt: 1, state: "archived" };

async function coverageOf(db: Database, repositoryId: number) {
  return db
    .selectFrom("audit.coverage")
    .select(["window_start", "window_end", "runs_found", "attempts_found", "jobs_found", "jobs_loaded"])
    .select(["logs_archived", "logs_absent", "logs_pending", "logs_failed", "complete"])
    .where("repository_id", "=", repositoryId)
    .orderBy("window_start")
    .execute();
}

async function openLedgerOf(runs: readonly Omit<RunRow, "run_id">[]) {
  const database = await openTestDatabase();
  await addLedger(database.db, id, "acme/app");
  for (const [index, run] of runs.entries()) await addRun(database.db, id, { run_id: 1001 + index, ...run });
  return database;
}

test("a covered span has a half-open row per day with its counts", async () => {
  await using database = await openLedgerOf([
    { createdAt: at("01T10:00:00"), attempts: [listed], jobs: [archived, { ...archived, state: "absent", reason: "not_run" }] },
    { createdAt: at("02T00:00:00"), attempts: [listed, listed], jobs: [archived, { ...archived, attempt: 2 }] },
    { createdAt: at("02T08:00:00"), attempts: [{ state: "open" }], jobs: [] },
    // Outside: a window excludes its end.
    { createdAt: at("02T12:00:00"), attempts: [listed], jobs: [archived] },
  ]);
  await addWindow(database.db, id, { start: at("01T06:00:00"), end: at("02T12:00:00") });

  const rows = await database.db.selectFrom("audit.coverage").selectAll().orderBy("window_start").execute();

  const common = { host: "github.com", repository_id: id, repository: "acme/app", logs_pending: 0, logs_failed: 0 };
  expect(rows).toEqual([
    {
      ...common,
      window_start: at("01T06:00:00"),
      window_end: at("02T00:00:00"),
      runs_found: 1,
      attempts_found: 1,
      jobs_found: 2,
      jobs_loaded: 2,
      logs_archived: 1,
      logs_absent: 1,
      complete: true,
    },
    {
      ...common,
      window_start: at("02T00:00:00"),
      window_end: at("02T12:00:00"),
      runs_found: 2,
      attempts_found: 3,
      jobs_found: 2,
      jobs_loaded: 2,
      logs_archived: 2,
      logs_absent: 0,
      complete: false,
    },
  ]);
});

const day = (window_start: Date, window_end: Date) =>
  expect.objectContaining({ window_start, window_end, complete: true }) as unknown;

test("days are UTC in any session time zone", async () => {
  await using database = await openLedgerOf([]);
  await addWindow(database.db, id, { start: at("01T00:00:00"), end: at("03T00:00:00") });
  await database.db.connection().execute(async (connection) => {
    await sql`set timezone = 'America/St_Johns'`.execute(connection);
    expect(await coverageOf(connection, id)).toEqual([
      day(at("01T00:00:00"), at("02T00:00:00")),
      day(at("02T00:00:00"), at("03T00:00:00")),
    ]);
  });
});

test.each<[string, AttemptRow, JobRow]>([
  ["an open attempt", { state: "open" }, archived],
  ["an attempt that vanished", { state: "gone" }, archived],
  ["an attempt that never completed", { state: "never_completed" }, archived],
  ["a listed job that never completed", { state: "listed", missing: 1 }, archived],
  ["a job without rows", listed, { ...archived, loaded: false }],
  ["a job that no table takes", listed, { ...archived, state: "failed", reason: "unloadable" }],
  ["a pending log", listed, { ...archived, state: "pending" }],
  ["a failed log", listed, { ...archived, state: "failed", reason: "forbidden" }],
  ["a log without a record", listed, { ...archived, recorded: false }],
])("a day with %s is not complete, its neighbours are", async (_what, attempt, job) => {
  await using database = await openLedgerOf([
    { createdAt: at("01T10:00:00"), attempts: [listed], jobs: [archived] },
    { createdAt: at("02T10:00:00"), attempts: [attempt], jobs: [archived, job] },
    { createdAt: at("03T10:00:00"), attempts: [listed], jobs: [archived] },
  ]);
  await addWindow(database.db, id, { start: at("01T00:00:00"), end: at("04T00:00:00") });
  expect((await coverageOf(database.db, id)).map(({ complete }) => complete)).toEqual([true, false, true]);
});

test("a job that was listed before its completion completes the day once it is recorded", async () => {
  await using database = await openLedgerOf([
    { createdAt: at("01T10:00:00"), attempts: [{ state: "listed", missing: 1 }], jobs: [archived] },
  ]);
  await addWindow(database.db, id, { start: at("01T00:00:00"), end: at("02T00:00:00") });
  const [before] = await coverageOf(database.db, id);
  expect(before).toMatchObject({ jobs_found: 2, jobs_loaded: 1, complete: false });
  const late = jobIdOf(1001, 90);
  await sql`
    insert into archive.log_jobs
    select (jsonb_populate_record(o, jsonb_build_object('job_id', ${late}::bigint))).* from archive.log_jobs o`.execute(
    database.db,
  );
  const [after] = await coverageOf(database.db, id);
  expect(after).toMatchObject({ jobs_found: 2, jobs_loaded: 2, complete: true });
});

test("a second that turns out to be full is not covered any more", async () => {
  await using database = await openLedgerOf([]);
  await addWindow(database.db, id, { start: at("01T00:00:00"), end: at("02T00:00:00") });
  await markFullSecond(database.db, id, at("01T12:00:00"));
  expect(await coverageOf(database.db, id)).toEqual([
    day(at("01T00:00:00"), at("01T12:00:00")),
    day(at("01T12:00:01"), at("02T00:00:00")),
  ]);
});

const attempts = fc.array(
  fc.record<AttemptRow>({
    state: fc.oneof({ weight: 8, arbitrary: fc.constant("listed" as const) }, fc.constantFrom("open", "gone", "never_completed")),
    missing: fc.oneof({ weight: 8, arbitrary: fc.constant(0) }, fc.nat(2)),
  }),
  { minLength: 1, maxLength: 3 },
);
const jobs = fc.array(
  fc.record<JobRow>({
    attempt: fc.integer({ min: 1, max: 3 }),
    state: fc.oneof(
      { weight: 12, arbitrary: fc.constantFrom("archived" as const, "absent" as const) },
      fc.constantFrom("pending", "failed"),
    ),
    reason: fc.constantFrom(null, "unloadable", "forbidden"),
    loaded: fc.oneof({ weight: 8, arbitrary: fc.constant(true) }, fc.boolean()),
    recorded: fc.oneof({ weight: 8, arbitrary: fc.constant(true) }, fc.boolean()),
  }),
  { maxLength: 4 },
);
const hour = (hours: number) => new Date(at("01T00:00:00").getTime() + hours * 3_600_000);
const runs = fc.array(fc.record({ createdAt: fc.nat(95).map(hour), attempts, jobs }), { maxLength: 6 });
const windows = fc.array(fc.tuple(fc.nat(96), fc.nat(96)), { maxLength: 4 });

const isLoaded = ({ loaded, state, reason }: JobRow) => loaded === true && !(state === "failed" && reason === "unloadable");
const missingOf = ({ attempts: all }: RunRow) =>
  all.filter(({ state }) => state === "listed").reduce((sum, { missing = 0 }) => sum + missing, 0);

/** The expected row for its runs, computed without SQL. */
function modelRow(window: { start: Date; end: Date }, all: readonly RunRow[]) {
  const inside = all.filter(({ createdAt }) => createdAt >= window.start && createdAt < window.end);
  const found = inside.flatMap((run) => run.jobs);
  const count = (state: string) => found.filter((job) => job.state === state).length;
  const missing = inside.reduce((sum, run) => sum + missingOf(run), 0);
  const isOwed =
    missing > 0 ||
    inside.some((run) => run.attempts.some(({ state }) => state !== "listed")) ||
    found.some((job) => !isLoaded(job) || job.state === "pending" || job.state === "failed" || job.recorded === false);
  return {
    window_start: window.start,
    window_end: window.end,
    runs_found: inside.length,
    attempts_found: inside.flatMap((run) => run.attempts).length,
    jobs_found: found.length + missing,
    jobs_loaded: found.filter(isLoaded).length,
    logs_archived: count("archived"),
    logs_absent: count("absent"),
    logs_pending: count("pending"),
    logs_failed: count("failed"),
    complete: !isOwed,
  };
}

/** The days of merged spans. */
function modelSlices(spans: readonly { start: Date; end: Date }[]) {
  return spans.flatMap(({ start, end }) =>
    [0, 24, 48, 72].flatMap((from) => {
      const slice = { start: start > hour(from) ? start : hour(from), end: end < hour(from + 24) ? end : hour(from + 24) };
      return slice.start < slice.end ? [slice] : [];
    }),
  );
}

test("for any ledger, each row has the right counts and is complete exactly if it contains no gap", async () => {
  await using database = await openTestDatabase();
  const { db } = database;
  let next = 1;
  await fc.assert(
    fc.asyncProperty(runs, windows, async (drawnRuns, drawnWindows) => {
      const repository = id + next;
      await addLedger(db, repository, `acme/app-${repository}`);
      const rows = drawnRuns.map((run) => ({
        ...run,
        run_id: next++,
        // A missing attempt cannot have a job.
        jobs: run.jobs.map((job) => ({
          ...job,
          attempt: Math.min(job.attempt, run.attempts.length),
          reason: { failed: job.reason ?? "forbidden", absent: "deleted", archived: null, pending: null }[job.state],
        })),
      }));
      next++;
      for (const row of rows) await addRun(db, repository, row);
      for (const [start, end] of drawnWindows) await addWindow(db, repository, { start: hour(start), end: hour(end) });

      const coverage = await coverageOf(db, repository);

      const slices = modelSlices(await listWindows(db, repository));
      expect(coverage).toEqual(slices.map((slice) => modelRow(slice, rows)));
      const gaps = await db.selectFrom("audit.gaps").select("run_id").where("repository_id", "=", repository).execute();
      const gapped = new Set(gaps.map(({ run_id }) => run_id));
      for (const { window_start, window_end, complete } of coverage) {
        const inside = rows.filter(({ createdAt }) => window_start! <= createdAt && createdAt < window_end!);
        expect(complete).toBe(!inside.some(({ run_id }) => gapped.has(run_id)));
      }
    }),
    { numRuns: 60 },
  );
});

test("a repository's summary has its coverage and its gaps by kind", async () => {
  await using database = await openLedgerOf([
    { createdAt: at("01T10:00:00"), attempts: [listed], jobs: [archived, { ...archived, state: "failed", reason: "forbidden" }] },
    { createdAt: at("01T11:00:00"), attempts: [{ state: "open", status: "in_progress" }], jobs: [] },
  ]);
  await addWindow(database.db, id, { start: at("01T00:00:00"), end: at("02T00:00:00") });
  expect(await listRepositoryCoverage(database.db)).toEqual([
    expect.objectContaining({
      repository: "acme/app",
      covered_from: at("01T00:00:00"),
      covered_until: at("02T00:00:00"),
      complete: false,
      gaps: { log_failed: 1, run_open: 1 },
      problem: null,
    }),
  ]);
  await sql`update archive.log_jobs set log_state = 'absent', log_reason = 'deleted', record_key = 'records/1'`.execute(
    database.db,
  );
  await sql`update archive.attempts set state = 'listed'`.execute(database.db);
  expect(await listRepositoryCoverage(database.db)).toMatchObject([{ complete: true, gaps: {} }]);
  await setRepository(database.db, id, { is_selected: false });
  expect(await listRepositoryCoverage(database.db)).toEqual([]);
});
