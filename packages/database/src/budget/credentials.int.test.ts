// A shared budget on a real Postgres: several budgets on one database stand for several processes.

import { randomUUID } from "node:crypto";

import type { Permit, RateLimitReading } from "@actions-archive/core/budget";
import type { RateLimitedError } from "@actions-archive/core/errors";
import { openTestDatabase, type TestDatabase } from "@actions-archive/testkit/test-database";
import fc from "fast-check";
import { sql } from "kysely";
import pg from "pg";
import { expect, test } from "vitest";

import { openDatabase } from "../connection/open-database.ts";
import { listDueLogs } from "../ledger/due-logs.ts";
import { recordJobs } from "../ledger/log-jobs.ts";
import { recordCredential, selectRepositories } from "../ledger/repositories.ts";
import { type DatabaseBudgetOptions, listCredentials, openDatabaseBudget } from "./credentials.ts";
import { requestBudget, type UsageReport } from "./request-budget.ts";

const open = ({ db }: TestDatabase, options: Partial<DatabaseBudgetOptions> = {}) =>
  openDatabaseBudget(db, { reservePercent: 20, ...options });
const isFree = false;
const limited = { code: "github/rate-limited" };

function reading(used: number, limit = 5_000): RateLimitReading {
  return { limit, used, resetAtSeconds: 1_900_000_000, resetInMs: 3_600_000 };
}

/** Number of `permits` granted once no more can be. */
async function countGranted(permits: readonly Promise<Permit>[]): Promise<number> {
  return (await Promise.allSettled(permits)).filter(({ status }) => status === "fulfilled").length;
}

test("several processes together never exceed the limit minus the reserve", async () => {
  await using database = await openTestDatabase();
  const step = fc.record({
    process: fc.nat(2),
    at_once: fc.integer({ min: 1, max: 20 }),
    has_header: fc.boolean(),
    free: fc.nat(9),
  });
  let world = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 8 }), fc.integer({ min: 60, max: 220 }), async (steps, limit) => {
      const credential = `world-${++world}`;
      const budgets = [open(database), open(database), open(database)];
      let used = 0;
      const ask = async (process: number, hasHeader: boolean, isNotModified: boolean) => {
        const permit = await budgets[process]?.acquire(credential);
        used++;
        expect(used).toBeLessThanOrEqual(Math.floor(limit * 0.8));
        await sql`select 1`.execute(database.db);
        if (isNotModified) used--;
        permit?.end({ isFree: isNotModified, reading: hasHeader || used === 1 ? reading(used, limit) : undefined });
      };
      await ask(0, true, false);
      // Until the first answer has the limit, only the 100 concurrent requests bound it.
      await expect.poll(() => listCredentials(database.db)).toContainEqual(expect.objectContaining({ credential, used: 1 }));
      const all = steps.flatMap(({ process, at_once, has_header, free }) =>
        Array.from({ length: at_once }, (_, index) => ask(process, has_header, index < free).catch(passLimited)),
      );
      await Promise.all(all);
    }),
    { numRuns: 8, endOnFailure: true },
  );
});

function passLimited(error: unknown): void {
  expect(error).toMatchObject(limited);
}

test("all processes together use their whole share, and none of the reserve", async () => {
  await using database = await openTestDatabase();
  const budgets = [open(database), open(database), open(database), open(database)];
  let used = 0;
  const work = async (budget: (typeof budgets)[number]) => {
    for (;;) {
      const permit = await budget.acquire("token");
      used++;
      permit.end({ isFree, reading: reading(used, 200) });
    }
  };
  const ends = await Promise.allSettled(budgets.flatMap((budget) => [work(budget), work(budget), work(budget)]));
  expect(used).toBe(160);
  expect(ends.every((end) => end.status === "rejected" && end.reason.code === limited.code)).toBe(true);
  const [state] = await listCredentials(database.db);
  expect(state).toMatchObject({ limit: 200, used: 160, remaining: 40, pause_reason: expect.stringContaining("160 of 200") });
  expect(state?.paused_until?.getTime()).toBe(state?.reset_at?.getTime());
});

test("at most 100 requests of a credential run at once over all processes, and one that ends makes room", async () => {
  await using database = await openTestDatabase();
  const budgets = [open(database), open(database), open(database)];
  const stop = new AbortController();
  const granted: Permit[] = [];
  const asked = budgets.flatMap((budget) =>
    Array.from({ length: 50 }, async () => void granted.push(await budget.acquire("ghes", stop.signal))),
  );
  const settled = Promise.allSettled(asked);
  await expect.poll(() => granted.length).toBe(100);
  expect(await listCredentials(database.db)).toMatchObject([{ credential: "ghes", running: 100, limit: null }]);
  for (const permit of granted.slice(0, 7)) permit.end({ isFree });
  await expect.poll(() => granted.length).toBe(107);
  stop.abort(new Error("enough"));
  expect((await settled).filter(({ status }) => status === "rejected")).toHaveLength(43);
  for (const permit of granted) permit.end({ isFree });
});

test("a pause holds for every process at once, a shorter one does not shorten it, and other credentials go on", async () => {
  await using database = await openTestDatabase();
  const [one, other] = [open(database), open(database)];
  (await other.acquire("a")).end({ isFree });
  const until = await one.pause("a", { waitMs: 60_000, reason: "secondary limit", isGuess: false });
  const again = await other.pause("a", { waitMs: 1_000, reason: "shorter", isGuess: false });
  expect(Math.abs(again.getTime() - until.getTime())).toBeLessThan(1_000);
  await expect(other.acquire("a")).rejects.toMatchObject({ ...limited, message: expect.stringContaining("secondary limit") });
  (await other.acquire("b")).end({ isFree });
});

test("a process whose clock is two hours off pauses the others no longer, and itself no shorter", async () => {
  await using database = await openTestDatabase();
  const twoHours = 2 * 60 * 60 * 1_000;
  const [right, ahead, behind] = [
    open(database),
    open(database, { now: () => Date.now() + twoHours }),
    open(database, { now: () => Date.now() - twoHours }),
  ];
  await ahead.pause("a", { waitMs: 30_000, reason: "limit", isGuess: false });
  const waits = await Promise.all(
    [right, ahead, behind].map((budget) => budget.acquire("a").catch((error: { retryAt: Date }) => error)),
  );
  const seconds = waits.map((error, index) => {
    const retryAt = "retryAt" in error ? error.retryAt.getTime() : 0;
    return (retryAt - Date.now() - [0, twoHours, -twoHours][index]!) / 1_000;
  });
  for (const wait of seconds) expect(wait).toBeGreaterThan(27);
  for (const wait of seconds) expect(wait).toBeLessThanOrEqual(30);
});

test("a limit without a time pauses for a minute, also if reported twice at once, and for twice as long when it comes again", async () => {
  await using database = await openTestDatabase();
  const [one, other] = [open(database), open(database)];
  const guess = { waitMs: 60_000, reason: "secondary limit", isGuess: true };
  const seconds = async (pausing: Promise<Date>) => Math.round(((await pausing).getTime() - Date.now()) / 1_000);
  const passes = (minutes: number) =>
    sql`update archive.credentials set paused_until = now() - make_interval(mins => ${minutes}::int),
      guessed_until = now() - make_interval(mins => ${minutes}::int)`.execute(database.db);
  expect(await Promise.all([seconds(one.pause("a", guess)), seconds(other.pause("a", guess))])).toEqual([60, 60]);
  const later: number[] = [];
  for (const minutes of [1, 1, 1, 1, 1, 1, 61]) {
    await passes(minutes);
    later.push(await seconds(one.pause("a", guess)));
  }
  expect(later).toEqual([120, 240, 480, 960, 1_920, 3_600, 60]);
});

test("our own cap holds on a server without limits, over all processes, and answers that nothing changed are given back", async () => {
  await using database = await openTestDatabase();
  const budgets = [open(database, { maxPerHour: 40 }), open(database, { maxPerHour: 40 })];
  for (let round = 0; round < 60; round++) (await budgets[round % 2]!.acquire("ghes")).end({ isFree: true });
  const granted: Promise<Permit>[] = budgets.flatMap((budget) =>
    Array.from({ length: 45 }, async () => {
      const permit = await budget.acquire("ghes");
      permit.end({ isFree });
      return permit;
    }),
  );
  expect(await countGranted(granted)).toBe(40);
  await expect(budgets[0]!.acquire("ghes")).rejects.toMatchObject({
    ...limited,
    message: expect.stringContaining("GITHUB_MAX_REQUESTS_PER_HOUR"),
  });
});

test("in any minute at most 900 requests of a credential start over all processes, and none waits longer than it must", async () => {
  await using database = await openTestDatabase();
  const processes = [randomUUID(), randomUUID(), randomUUID()];
  const step = fc.record({
    process: fc.nat(2),
    wanted: fc.oneof({ weight: 3, arbitrary: fc.constant(100) }, fc.integer({ min: 1, max: 400 })),
    // Time passes by moving the stored times back.
    seconds: fc.oneof(
      { weight: 20, arbitrary: fc.constant(0) },
      { weight: 3, arbitrary: fc.integer({ min: 1, max: 9 }) },
      { weight: 2, arbitrary: fc.integer({ min: 55, max: 64 }) },
    ),
  });
  let world = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 25, maxLength: 60 }), async (steps) => {
      const credential = `world-${++world}`;
      const starts: { second: number; granted: number }[] = [];
      let passed = 0;
      const ask = async (holder: string, wanted: number, usage: Partial<UsageReport> = {}) => {
        const question = { credential, holder, running: 0, wanted, usage: { counted: 0, unread: 0, ...usage } };
        const answer = await requestBudget(database.db, { reservePercent: 20 }, question);
        const { rows } = await sql<{ second: number }>`
          select starts_second::float8 as second from archive.credentials where credential = ${credential}`.execute(database.db);
        return { ...answer, second: (rows[0]?.second ?? 0) + passed };
      };
      await ask(processes[0]!, 0, { reading: { ...reading(0, 100_000), beganAgoMs: 0 } });
      for (const { process, wanted, seconds } of steps) {
        passed += seconds;
        await sql`update archive.credentials set starts_second = starts_second - ${seconds} where credential = ${credential}`.execute(
          database.db,
        );
        // Earlier waiters have given up, so the grant is not shared.
        await sql`delete from archive.credential_holders where credential = ${credential}`.execute(database.db);
        const { granted, wait_ms, second } = await ask(processes[process]!, wanted);
        const left = 900 - countSince(starts, second - 62);
        expect(granted).toBe(Math.min(wanted, 100, left));
        starts.push({ second, granted });
        // The oldest second with requests counts until 63 seconds after its beginning.
        const oldest = starts.find((start) => start.granted > 0 && start.second >= second - 62)?.second ?? second;
        const maxMs = left > 0 ? 50 : (oldest + 63 - second) * 1_000;
        expect(wait_ms).toBeLessThanOrEqual(maxMs);
        expect(wait_ms).toBeGreaterThanOrEqual(left > 0 ? 0 : maxMs - 1_000);
      }
      for (const { second } of starts) expect(countSince(starts, second - 62, second)).toBeLessThanOrEqual(900);
    }),
    { numRuns: 25, endOnFailure: true },
  );
});

function countSince(starts: readonly { second: number; granted: number }[], from: number, to = Infinity): number {
  return starts.filter(({ second }) => second >= from && second <= to).reduce((sum, { granted }) => sum + granted, 0);
}

test("900 requests start at once where work is there, over four processes, and the next one only when more than a minute is over", async () => {
  await using database = await openTestDatabase();
  const budgets = [0, 1, 2, 3].map(() => open(database, { maxTurnMs: 2_000 }));
  let started = 0;
  (await budgets[0]!.acquire("a")).end({ isFree, reading: reading(1, 15_000) });
  await expect.poll(() => listCredentials(database.db)).toMatchObject([{ limit: 15_000, running: 0 }]);
  const refusals = await Promise.allSettled(
    Array.from({ length: 1_000 }, async (_, index) => {
      const permit = await budgets[index % 4]!.acquire("a");
      started++;
      // A 304 uses none of the hourly limit, but counts as a request of the minute.
      permit.end({ isFree: index % 2 === 0, reading: reading(started, 15_000) });
    }),
  );
  expect(started).toBe(899);
  const late = refusals.flatMap((refusal) => (refusal.status === "rejected" ? [refusal.reason as RateLimitedError] : []));
  expect(late).toHaveLength(101);
  for (const { code, retryAt } of late) {
    expect(code).toBe(limited.code);
    expect(retryAt.getTime() - Date.now()).toBeGreaterThan(30_000);
    expect(retryAt.getTime() - Date.now()).toBeLessThanOrEqual(63_000);
  }
  await sql`update archive.credentials set starts_second = starts_second - 63`.execute(database.db);
  (await budgets[3]!.acquire("a")).end({ isFree });
});

test("a request that waits for the pace starts when its second is over, and not before", async () => {
  await using database = await openTestDatabase();
  const budget = open(database);
  (await budget.acquire("a")).end({ isFree, reading: reading(1) });
  await expect.poll(() => listCredentials(database.db)).toMatchObject([{ limit: 5_000, running: 0 }]);
  // All 900 were 61 seconds ago: they count for one or two seconds more.
  const seconds = sql`floor(extract(epoch from clock_timestamp()))`;
  await sql`update archive.credentials set starts_second = ${seconds} - 61, starts[1] = 900`.execute(database.db);
  const began = Date.now();
  (await budget.acquire("a")).end({ isFree });
  const waitedMs = Date.now() - began;
  expect(waitedMs).toBeGreaterThan(900);
  const { rows } = await sql<{ started: number }>`select starts[1] as started from archive.credentials`.execute(database.db);
  expect(rows).toEqual([{ started: 1 }]);
});

test("a server without limits has no pace", async () => {
  await using database = await openTestDatabase();
  const budget = open(database);
  for (let round = 0; round < 12; round++) {
    const permits = await Promise.all(Array.from({ length: 90 }, () => budget.acquire("ghes")));
    for (const permit of permits) permit.end({ isFree });
  }
  expect(await listCredentials(database.db)).toMatchObject([{ limit: null }]);
});

test("a clock that is set back keeps the count of the minute", async () => {
  await using database = await openTestDatabase();
  const budget = open(database, { maxTurnMs: 1_000 });
  (await budget.acquire("a")).end({ isFree, reading: reading(1) });
  await expect.poll(() => listCredentials(database.db)).toMatchObject([{ limit: 5_000, running: 0 }]);
  await sql`update archive.credentials set starts_second = starts_second + 3600, starts[1] = 900`.execute(database.db);
  await expect(budget.acquire("a")).rejects.toMatchObject(limited);
  await sql`update archive.credentials set starts_second = starts_second - 63`.execute(database.db);
  (await budget.acquire("a")).end({ isFree });
});

test("a process that has hundreds to ask leaves others their share", async () => {
  await using database = await openTestDatabase();
  const [busy, other] = [open(database), open(database)];
  const stop = new AbortController();
  const ended = new Map<string, number>();
  const work = async (budget: typeof busy, name: string) => {
    while (!stop.signal.aborted) {
      const permit = await budget.acquire("ghes", stop.signal);
      await sql`select pg_sleep(0.005)`.execute(database.db);
      permit.end({ isFree });
      ended.set(name, (ended.get(name) ?? 0) + 1);
    }
  };
  const all = Promise.allSettled([
    ...Array.from({ length: 300 }, () => work(busy, "busy")),
    ...Array.from({ length: 60 }, () => work(other, "other")),
  ]);
  await expect.poll(() => ended.get("busy") ?? 0, { timeout: 60_000 }).toBeGreaterThan(1_000);
  stop.abort(new Error("enough"));
  await all;
  expect((ended.get("other") ?? 0) / (ended.get("busy") ?? 1)).toBeGreaterThan(0.3);
});

test("requests of a dead process count as used, and free their slots", async () => {
  await using database = await openTestDatabase();
  const [dead, alive] = [open(database), open(database)];
  const state = async () => (await listCredentials(database.db))[0];
  (await alive.acquire("a")).end({ isFree, reading: reading(10) });
  for (let index = 0; index < 5; index++) await dead.acquire("a");
  await expect.poll(state).toMatchObject({ used: 10, running: 5 });
  await sql`update archive.credential_holders set leased_until = now()`.execute(database.db);
  const permit = await alive.acquire("a");
  expect(await state()).toMatchObject({ used: 15, running: 1, requests_this_hour: 6 });
  permit.end({ isFree, reading: reading(14) });
  await expect.poll(state).toMatchObject({ used: 14, running: 0, requests_this_hour: 7 });
});

test("a new window of GitHub's begins a new count, and an old reading that comes late does not", async () => {
  await using database = await openTestDatabase();
  const budget = open(database);
  const report = async (given: RateLimitReading) => (await budget.acquire("a")).end({ isFree, reading: given });
  const state = async () => (await listCredentials(database.db))[0]?.used;
  await report(reading(3_000));
  await expect.poll(state).toBe(3_000);
  await report(reading(2_990));
  await report({ ...reading(2), resetAtSeconds: 1_900_003_600 });
  await expect.poll(state).toBe(2);
  await report({ ...reading(3_999), resetInMs: 0 });
  await report({ ...reading(4), resetAtSeconds: 1_900_003_600 });
  await expect.poll(state).toBe(4);
});

test("without the database no request starts, and a pause that it missed applies once it is back", async () => {
  await using database = await openTestDatabase();
  const name = new URL(database.url).pathname.slice(1);
  const admin = new pg.Client({ connectionString: Object.assign(new URL(database.url), { pathname: "/postgres" }).href });
  await admin.connect();
  await using away = await openDatabase({ url: database.url, applicationName: "test" });
  const budget = openDatabaseBudget(away.db, { reservePercent: 20 });
  try {
    (await budget.acquire("a")).end({ isFree });
    await admin.query(`alter database ${name} allow_connections false`);
    await admin.query("select pg_terminate_backend(pid) from pg_stat_activity where datname = $1", [name]);
    const unavailable = { name: "TransientError", code: "database/unavailable" };
    await expect(budget.acquire("a")).rejects.toMatchObject(unavailable);
    await expect(budget.pause("a", { waitMs: 60_000, reason: "limit", isGuess: false })).rejects.toMatchObject(unavailable);
    await expect(budget.clock.read()).rejects.toMatchObject(unavailable);
  } finally {
    await admin.query(`alter database ${name} allow_connections true`);
    await admin.end();
  }
  await expect(budget.acquire("a")).rejects.toMatchObject(limited);
});

test("no log is fed of a repository whose credential pauses, and those of others are", async () => {
  await using database = await openTestDatabase();
  const { db } = database;
  for (const id of [1, 2]) {
    const snapshots = [1, 2].map((repository_id) => ({ repository_id, full_name: `octo/${repository_id}`, is_private: null }));
    await selectRepositories(db, snapshots);
    await recordCredential(db, id, `installation-${id}`);
    const object = { id: id * 10, run_id: id, run_attempt: 1, name: "build", status: "completed", conclusion: "success" };
    const times = { started_at: "2026-01-01T00:00:00Z", completed_at: "2026-01-01T00:01:00Z", steps: [], labels: [] };
    expect(await recordJobs(db, id, [{ object: { ...object, ...times }, source: "listing", listedAttempt: 1 }])).toBe(1);
  }
  const budget = open(database);
  await budget.pause("installation-1", { waitMs: 60_000, reason: "limit", isGuess: false });
  expect(await listDueLogs(db, { queued: [], maxPerCredential: 10 })).toEqual([20]);
  await sql`update archive.credentials set paused_until = now()`.execute(db);
  expect(new Set(await listDueLogs(db, { queued: [], maxPerCredential: 10 }))).toEqual(new Set([10, 20]));
});
