// audit.gaps has exactly one row for each owed or lost item.

import { openTestDatabase } from "@actions-archive/testkit/test-database";
import { sql } from "kysely";
import { expect, test } from "vitest";

import { addLedger, addRun, type AttemptRow, jobIdOf, type JobRow, setRepository } from "../../test-support/ledger.ts";
import type { Database } from "../connection/open-database.ts";
import { recordObjects } from "../ledger/objects.ts";
import { recordUnreadableRepositories } from "../ledger/repositories.ts";
import { addWindow, markFullSecond } from "../ledger/windows.ts";
import { recordSealing } from "../seal/sealing.ts";
import { countGaps, type Gap, isOwed, listGaps } from "./gaps.ts";

const id = 700_000_001;
const run_id = 1001;
const at = (text: string) => new Date(`2026-05-${text}Z`);
const hoursAgo = (hours: number) => new Date(Date.now() - hours * 3_600_000);
const listed: AttemptRow = { state: "listed" };
const archived: JobRow = { attempt: 1, state: "archived" };

async function openLedger({ covered = true } = {}) {
  const database = await openTestDatabase();
  await addLedger(database.db, id, "acme/app");
  if (covered) await addWindow(database.db, id, { start: at("01T00:00:00"), end: at("10T00:00:00") });
  return database;
}

async function gapsAfter(db: Database, attempts: readonly AttemptRow[], jobs: readonly JobRow[] = []): Promise<Partial<Gap>[]> {
  await addRun(db, id, { run_id, createdAt: at("02T10:00:00"), attempts, jobs });
  return gapsOf(db);
}

async function gapsOf(db: Database): Promise<Partial<Gap>[]> {
  return listGaps(db, { limit: 100 });
}

const place = {
  repository: "acme/app",
  run_id,
  run_attempt: 1,
  window_start: null,
  window_end: null,
  since: expect.any(Date) as Date,
};

test("a ledger that owes nothing has no gaps", async () => {
  await using database = await openLedger();
  const absent: JobRow = { attempt: 2, state: "absent", reason: "copied" };
  expect(await gapsAfter(database.db, [listed, listed], [archived, absent])).toEqual([]);
});

test.each<[string, readonly AttemptRow[], readonly JobRow[], readonly Partial<Gap>[]]>([
  ["a run that goes on", [{ state: "open", status: "in_progress" }], [archived], [{ kind: "run_open", reason: "in_progress" }]],
  ["a run that is over and not listed", [{ state: "open" }], [], [{ kind: "run_open", reason: "unlisted" }]],
  [
    "an attempt that a re-run has ended",
    [{ state: "open", status: "queued" }, listed],
    [],
    [{ kind: "run_open", reason: "unlisted" }],
  ],
  ["an attempt that vanished", [{ state: "gone" }], [], [{ kind: "attempt_gone", reason: "deleted" }]],
  ["a run that never completed", [{ state: "never_completed" }], [], [{ kind: "never_completed", reason: "too_old" }]],
  [
    "listed jobs that never completed",
    [{ state: "listed", missing: 2 }],
    [archived],
    [90, 91].map((index) => ({
      kind: "job_not_loaded" as const,
      reason: "not_completed",
      detail: "its attempt completed and listed it, and it never completed",
      job_id: jobIdOf(run_id, index),
    })),
  ],
  [
    "a job without rows",
    [listed],
    [{ ...archived, loaded: false }],
    [{ kind: "job_not_loaded", reason: "queued", job_id: jobIdOf(run_id, 0) }],
  ],
  [
    "a pending log",
    [listed],
    [{ attempt: 1, state: "pending" }],
    [{ kind: "log_pending", reason: "queued", job_id: jobIdOf(run_id, 0) }],
  ],
  [
    "a failed log",
    [listed],
    [archived, { attempt: 1, state: "failed", reason: "forbidden" }],
    [{ kind: "log_failed", reason: "forbidden", detail: "what happened", job_id: jobIdOf(run_id, 1) }],
  ],
  [
    "a job that no table takes",
    [listed],
    [{ attempt: 1, state: "failed", reason: "unloadable" }],
    [
      { kind: "job_not_loaded", reason: "unloadable", detail: "what happened", job_id: jobIdOf(run_id, 0) },
      { kind: "log_failed", reason: "unloadable", detail: "what happened", job_id: jobIdOf(run_id, 0) },
    ],
  ],
  [
    "a log without a record",
    [listed],
    [{ ...archived, recorded: false }],
    [
      {
        kind: "log_without_record",
        reason: "no_record",
        detail: "the ledger says archived and names no record",
        job_id: jobIdOf(run_id, 0),
      },
    ],
  ],
])("%s is a gap", async (_what, attempts, jobs, expected) => {
  await using database = await openLedger();
  expect(await gapsAfter(database.db, attempts, jobs)).toEqual(
    expected.map((gap) => ({ ...place, job_id: null, detail: null, ...gap })),
  );
});

test("an open run of an unselected repository is a gap that is not owed", async () => {
  await using database = await openLedger();
  await setRepository(database.db, id, { is_selected: false });
  expect(await gapsAfter(database.db, [{ state: "open" }])).toMatchObject([{ kind: "run_open", reason: "not_selected" }]);
});

const window = (start: Date | null, end: Date | null) => ({ kind: "window_open", window_start: start, window_end: end });

test("an uncovered span before the end of the last window is a gap, and the time after it is not", async () => {
  await using database = await openLedger({ covered: false });
  await addWindow(database.db, id, { start: at("02T00:00:00"), end: at("03T00:00:00") });
  await addWindow(database.db, id, { start: at("05T00:00:00"), end: at("10T00:00:00") });
  expect(await gapsOf(database.db)).toMatchObject([
    { ...window(at("01T00:00:00"), at("02T00:00:00")), reason: "unlisted", run_id: null, repository: "acme/app" },
    { ...window(at("03T00:00:00"), at("05T00:00:00")), reason: "unlisted" },
  ]);
});

test("a repository that is not polled has a gap from its last window for as long as it was not polled", async () => {
  await using database = await openLedger();
  await setRepository(database.db, id, { polled_at: hoursAgo(24), poll_due_at: hoursAgo(23) });
  const [gap, ...others] = await gapsOf(database.db);
  expect(others).toEqual([]);
  expect(gap).toMatchObject({ kind: "window_open", reason: "overdue", window_start: at("10T00:00:00") });
  // GitHub's clock ended the window; the database's clock only measures the time since.
  expect((gap?.window_end?.getTime() ?? 0) - at("11T00:00:00").getTime()).toBeLessThan(60_000);
});

test("a repository that cannot be listed has a gap since its problem began, whatever tries followed", async () => {
  await using database = await openLedger();
  const problem_since = hoursAgo(2);
  await setRepository(database.db, id, { problem: "GitHub says 404", problem_since });
  expect(await gapsOf(database.db)).toMatchObject([
    { kind: "window_open", reason: "problem", detail: "GitHub says 404", since: problem_since, window_start: at("10T00:00:00") },
  ]);
});

test("an unpolled repository has a gap, and so has what the first scan has not reached", async () => {
  await using database = await openLedger({ covered: false });
  await setRepository(database.db, id, { archive_since: null });
  expect(await gapsOf(database.db)).toMatchObject([{ ...window(null, null), reason: "unlisted" }]);
  await addWindow(database.db, id, { start: at("05T00:00:00"), end: at("10T00:00:00") });
  expect(await gapsOf(database.db)).toMatchObject([{ ...window(null, at("05T00:00:00")), reason: "unlisted" }]);
  await setRepository(database.db, id, { is_selected: false });
  expect(await gapsOf(database.db)).toEqual([]);
});

test("a configured name that leads nowhere is a gap, once", async () => {
  await using database = await openLedger();
  await recordUnreadableRepositories(database.db, [
    { name: "acme/none", problem: "404" },
    { name: "acme/app", problem: "404" },
  ]);
  await setRepository(database.db, id, { problem: "404", problem_since: hoursAgo(1) });
  const gaps = await gapsOf(database.db);
  expect(gaps.map(({ kind, repository, reason }) => [kind, repository, reason])).toEqual(
    expect.arrayContaining([
      ["window_open", "acme/app", "problem"],
      ["window_open", "acme/none", "problem"],
    ]),
  );
  expect(gaps).toHaveLength(2);
});

test("a full second is a gap of its own, and no open window", async () => {
  await using database = await openLedger();
  await markFullSecond(database.db, id, at("05T00:00:00"));
  expect(await gapsOf(database.db)).toEqual([
    {
      ...place,
      kind: "second_full",
      run_id: null,
      run_attempt: null,
      job_id: null,
      window_start: at("05T00:00:00"),
      window_end: at("05T00:00:01"),
      reason: "list_cap",
      detail: "GitHub lists 1,000 runs of this second and no more",
    },
  ]);
});

test("objects that wait for a seal are one row: without a key at once, else after two intervals, or with the loader's problem", async () => {
  await using database = await openLedger();
  const { db } = database;
  await recordObjects(
    db,
    ["1", "2"].map((name) => ({
      key: `runs/github.com/${id}/7/${name}.json`,
      version_id: null,
      size: 1,
      sha256: "0".repeat(64),
    })),
  );
  const row = { kind: "not_sealed", repository: null, job_id: null };
  expect(await gapsOf(db)).toMatchObject([{ ...row, reason: "no_key" }]);
  const note = { keyId: "k", intervalSeconds: 60 };
  await recordSealing(db, { ...note, problem: null });
  expect(await gapsOf(db)).toEqual([]);
  await sql`update archive.objects set recorded_at = now() - interval '121 seconds'`.execute(db);
  expect(await gapsOf(db)).toMatchObject([{ ...row, reason: "overdue" }]);
  await recordSealing(db, { ...note, problem: "the store is away" });
  expect(await gapsOf(db)).toMatchObject([{ ...row, reason: "problem", detail: "the store is away" }]);
  await sql`update archive.objects set sealed_in = 1`.execute(db);
  expect(await gapsOf(db)).toEqual([]);
});

test("gaps are counted by kind and reason, and chosen by kind and by repository in any case", async () => {
  await using database = await openLedger();
  await addLedger(database.db, id + 1, "acme/web");
  await sql`update archive.repositories set is_selected = true, archive_since = null`.execute(database.db);
  await sql`delete from archive.windows`.execute(database.db);
  const failed: JobRow = { attempt: 1, state: "failed", reason: "forbidden" };
  await addRun(database.db, id, {
    run_id,
    createdAt: at("02T10:00:00"),
    attempts: [listed],
    jobs: [failed, failed, { ...failed, reason: "too_large" }],
  });
  expect(await countGaps(database.db)).toEqual([
    { kind: "log_failed", reason: "forbidden", gaps: 2 },
    { kind: "log_failed", reason: "too_large", gaps: 1 },
    { kind: "window_open", reason: "unlisted", gaps: 2 },
  ]);
  expect(await countGaps(database.db, { kind: "window_open", repository: "ACME/Web" })).toEqual([
    { kind: "window_open", reason: "unlisted", gaps: 1 },
  ]);
  expect(await listGaps(database.db, { repository: "acme/app", reason: "too_large", limit: 5 })).toHaveLength(1);
  expect(await listGaps(database.db, { kind: "log_failed", limit: 2 })).toHaveLength(2);
});

test("a run in progress, a closed gap, a late poll and missing seals do not make a pass incomplete, all other gaps do", () => {
  const owed = [
    ["window_open", "problem"],
    ["window_open", "unlisted"],
    ["second_full", "list_cap"],
    ["run_open", "unlisted"],
    ["job_not_loaded", "queued"],
    ["log_pending", "queued"],
    ["log_failed", "forbidden"],
    ["log_without_record", "no_record"],
  ] as const;
  const notOwed = [
    ["window_open", "overdue"],
    ["run_open", "in_progress"],
    ["run_open", "not_selected"],
    ["never_completed", "too_old"],
    ["attempt_gone", "deleted"],
    ["not_sealed", "no_key"],
  ] as const;
  expect(owed.filter(([kind, reason]) => !isOwed({ kind, reason }))).toEqual([]);
  expect(notOwed.filter(([kind, reason]) => isOwed({ kind, reason }))).toEqual([]);
});
