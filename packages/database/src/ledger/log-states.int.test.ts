// Transitions of a log's state: when it is retried, and that a terminal state is final.

import { openTestDatabase } from "@actions-archive/testkit/test-database";
import { expect, test } from "vitest";

import { addRepository, jobId, jobObject, repositoryId } from "../../test-support/samples.ts";
import { logRow } from "../../test-support/samples.ts";
import type { Database } from "../connection/open-database.ts";
import { upsertJobs, upsertLogs } from "../rows/rows.ts";
import { listDueLogs } from "./due-logs.ts";
import { findLogJob, recordJobs } from "./log-jobs.ts";
import { deferLog, deferIncompleteLog, failLog, finishRecheck, recordWrittenRecord, recordTerminalStates } from "./log-states.ts";

const hour = 3_600;
const day = 24 * hour;

/** A job whose log expires in this number of seconds from now; in the past if negative. */
async function openLedgerOf({ expiresIn }: { expiresIn: number | null }) {
  const database = await openTestDatabase();
  await addRepository(database.db);
  await recordJobs(database.db, repositoryId, [{ object: jobObject(), source: "listing", listedAttempt: 1 }]);
  await database.pool.query("update archive.log_jobs set expires_at = now() + make_interval(secs => $1::float8)", [expiresIn]);
  return database;
}

/** State of the job, with times as whole seconds from now. */
async function look(db: Database) {
  const row = await db
    .selectFrom("archive.log_jobs")
    .select(["log_state", "log_reason", "due_at", "recheck_at", "incomplete_read_at", "record_key", "tries"])
    .executeTakeFirstOrThrow();
  const fromNow = (time: Date | null) => time && Math.round((time.getTime() - Date.now()) / 1000);
  return { ...row, due_at: fromNow(row.due_at), recheck_at: fromNow(row.recheck_at) };
}

/** The same, with exact times. */
async function readRow({ pool }: Awaited<ReturnType<typeof openLedgerOf>>): Promise<unknown> {
  return (await pool.query("select to_jsonb(o) from archive.log_jobs as o")).rows;
}

async function settle(
  db: Database,
  state: "archived" | "absent",
  version: number,
  reason: "deleted" | "empty" | "expired" = "deleted",
) {
  const row = logRow({ state, version, reason });
  await upsertJobs(db, [{ repository_id: repositoryId, run_attempt: 1, last_listed_attempt: 1, object: jobObject() }]);
  await upsertLogs(db, [row]);
  await recordTerminalStates(db, [row.job_id]);
}

const near = (seconds: number) => expect.closeTo(seconds, -1) as number;

test.each([
  { when: "long before its expiry, a day later", expiresIn: 40 * day, due: day },
  { when: "on its last day, at its expiry", expiresIn: 5 * hour, due: 5 * hour },
  { when: "just before its expiry, in an hour", expiresIn: 60, due: hour },
  { when: "after its expiry, in a month", expiresIn: -60, due: 30 * day },
  { when: "with an unknown expiry, a day later", expiresIn: null, due: day },
])("a failed log is tried again $when", async ({ expiresIn, due }) => {
  await using database = await openLedgerOf({ expiresIn });
  await failLog(database.db, jobId, "forbidden", "403");
  expect(await look(database.db)).toMatchObject({ log_state: "failed", log_reason: "forbidden", due_at: near(due), tries: 1 });
});

test.each(["archived", "failed"])("a copy that waits is due as soon as its original is %s", async (end) => {
  await using database = await openLedgerOf({ expiresIn: 40 * day });
  const { db } = database;
  const copies = [jobId + 1, jobId + 2];
  await recordJobs(db, repositoryId, [
    { object: { ...jobObject(), id: jobId + 1 }, source: "listing", listedAttempt: 2 },
    { object: { ...jobObject(), id: jobId + 2, name: "another" }, source: "listing", listedAttempt: 2 },
  ]);
  for (const id of [jobId, ...copies]) await deferLog(db, id, 300, "waits");
  if (end === "archived") await settle(db, "archived", 1);
  else await failLog(db, jobId, "incomplete", "cut");
  expect(await listDueLogs(db, { queued: [], maxPerCredential: 10 })).toEqual([jobId + 1]);
});

test("a log that is too large is not tried again by itself", async () => {
  await using database = await openLedgerOf({ expiresIn: 40 * day });
  await failLog(database.db, jobId, "too_large", "3 GiB");
  await database.pool.query("update archive.log_jobs set expires_at = now() - interval '1 year'");
  expect(await listDueLogs(database.db, { queued: [], maxPerCredential: 10 })).toEqual([]);
  const { rows } = await database.pool.query<{ never: boolean }>("select due_at = 'infinity' as never from archive.log_jobs");
  expect(rows).toEqual([{ never: true }]);
});

test("a log that waits keeps its state and counts its tries", async () => {
  await using database = await openLedgerOf({ expiresIn: 40 * day });
  await deferLog(database.db, jobId, 30, "not there yet");
  expect(await look(database.db)).toMatchObject({ log_state: "pending", due_at: near(30), tries: 1 });
  await failLog(database.db, jobId, "incomplete", "cut");
  await deferLog(database.db, jobId, 60, "store away");
  expect(await look(database.db)).toMatchObject({ log_state: "failed", log_reason: "incomplete", due_at: near(60), tries: 3 });
  expect(await listDueLogs(database.db, { queued: [], maxPerCredential: 10 })).toEqual([]);
});

test("a log without its end is remembered as read once, and only the first time counts", async () => {
  await using database = await openLedgerOf({ expiresIn: 40 * day });
  await deferIncompleteLog(database.db, jobId, 60, "no end");
  const { incomplete_read_at } = await look(database.db);
  expect(incomplete_read_at).not.toBeNull();
  await deferIncompleteLog(database.db, jobId, 60, "no end");
  expect((await look(database.db)).incomplete_read_at).toEqual(incomplete_read_at);
});

test("a record that is written but not loaded defers the log for a minute only", async () => {
  await using database = await openLedgerOf({ expiresIn: 40 * day });
  await recordWrittenRecord(database.db, jobId, "records/github.com/1/2/3.json");
  expect(await look(database.db)).toMatchObject({
    log_state: "pending",
    due_at: near(60),
    record_key: "records/github.com/1/2/3.json",
  });
});

test("an archived log stays archived after failures, deferrals and older records", async () => {
  await using database = await openLedgerOf({ expiresIn: 40 * day });
  const { db } = database;
  await settle(db, "archived", 2);
  expect(await look(db)).toMatchObject({ log_state: "archived", log_reason: null });
  const settled = await readRow(database);
  await failLog(db, jobId, "upstream_error", "late");
  await deferLog(db, jobId, 1, "late");
  await recordWrittenRecord(db, jobId, "records/other.json");
  await settle(db, "absent", 3);
  await settle(db, "archived", 1);
  expect(await readRow(database)).toEqual(settled);
});

test("archived stays when its row is lost and an older record, which says absent, is loaded", async () => {
  await using database = await openLedgerOf({ expiresIn: 40 * day });
  const { db, pool } = database;
  await settle(db, "archived", 2);
  const settled = await readRow(database);
  await pool.query("delete from archive.logs");
  await settle(db, "absent", 1);
  expect(await readRow(database)).toEqual(settled);
});

test("archived replaces absent and failed", async () => {
  await using database = await openLedgerOf({ expiresIn: 40 * day });
  const { db } = database;
  await failLog(db, jobId, "incomplete", "cut");
  await settle(db, "absent", 1);
  expect(await look(db)).toMatchObject({ log_state: "absent", log_reason: "deleted" });
  await settle(db, "archived", 2);
  expect(await look(db)).toMatchObject({ log_state: "archived", log_reason: null, recheck_at: null });
});

test("an older version of a record that arrives later changes nothing", async () => {
  await using database = await openLedgerOf({ expiresIn: 40 * day });
  await settle(database.db, "absent", 2, "empty");
  await settle(database.db, "absent", 1, "deleted");
  expect(await look(database.db)).toMatchObject({
    log_reason: "empty",
    record_key: logRow({ state: "absent", version: 2 }).record_key,
  });
});

test.each(["deleted", "empty"] as const)(
  "a log that is %s is checked an hour and a day later, and two days before its expiry",
  async (reason) => {
    await using database = await openLedgerOf({ expiresIn: 40 * day });
    const { db, pool } = database;
    const age = (seconds: number) =>
      pool.query("update archive.log_jobs set recheck_at = now(), decided_at = now() - make_interval(secs => $1)", [seconds]);
    await settle(db, "absent", 1, reason);
    expect(await look(db)).toMatchObject({ log_state: "absent", recheck_at: near(3_600) });
    expect(await findLogJob(db, jobId)).toMatchObject({ recheck_at: null });
    expect(await listDueLogs(db, { queued: [], maxPerCredential: 10 })).toEqual([]);
    await age(3_600);
    expect(await listDueLogs(db, { queued: [], maxPerCredential: 10 })).toEqual([jobId]);
    expect((await findLogJob(db, jobId))?.recheck_at).toBeInstanceOf(Date);
    await finishRecheck(db, jobId);
    expect(await look(db)).toMatchObject({ recheck_at: near(day - 3_600) });
    await age(day);
    await finishRecheck(db, jobId);
    expect(await look(db)).toMatchObject({ recheck_at: near(38 * day) });
    await pool.query("update archive.log_jobs set expires_at = now() + interval '2 days'");
    await finishRecheck(db, jobId);
    expect(await look(db)).toMatchObject({ recheck_at: null });
  },
);

test("a log archived without timestamps is checked an hour later, another version with them not", async () => {
  await using database = await openLedgerOf({ expiresIn: 40 * day });
  const { db } = database;
  const archive = async (version: number, flags: ["no_timestamps"] | []) => {
    await upsertJobs(db, [{ repository_id: repositoryId, run_attempt: 1, last_listed_attempt: 1, object: jobObject() }]);
    await upsertLogs(db, [logRow({ state: "archived", version, flags })]);
    await recordTerminalStates(db, [jobId]);
    return (await look(db)).recheck_at;
  };
  expect(await archive(1, ["no_timestamps"])).toEqual(near(3_600));
  expect(await archive(2, ["no_timestamps"])).toEqual(near(3_600));
  expect(await archive(3, [])).toBeNull();
});

test("a log that is deleted on its last day is checked again in an hour", async () => {
  await using database = await openLedgerOf({ expiresIn: 5 * hour });
  await settle(database.db, "absent", 1);
  expect(await look(database.db)).toMatchObject({ log_state: "absent", recheck_at: near(hour) });
});

test.each([
  ["deleted and has expired", -60, "deleted"],
  ["expired", 40 * day, "expired"],
] as const)("a log that is %s is not checked again", async (_kind, expiresIn, reason) => {
  await using database = await openLedgerOf({ expiresIn });
  await settle(database.db, "absent", 1, reason);
  expect(await look(database.db)).toMatchObject({ log_state: "absent", log_reason: reason, recheck_at: null });
});

test("a second look that fails leaves the state and is taken later, until the expiry", async () => {
  await using database = await openLedgerOf({ expiresIn: 40 * day });
  const { db, pool } = database;
  await settle(db, "absent", 1);
  await pool.query("update archive.log_jobs set recheck_at = now()");
  await failLog(db, jobId, "no_access", "404");
  expect(await look(db)).toMatchObject({ log_state: "absent", log_reason: "deleted", recheck_at: near(day) });
  await deferLog(db, jobId, 60, "the store is away");
  expect(await look(db)).toMatchObject({ log_state: "absent", recheck_at: near(60) });
  await pool.query("update archive.log_jobs set expires_at = now()");
  await failLog(db, jobId, "no_access", "404");
  expect(await look(db)).toMatchObject({ log_state: "absent", log_reason: "deleted", recheck_at: null });
});
