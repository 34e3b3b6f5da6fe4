// Deliveries on a real database: each is written once, whatever fails.

import { openTestDatabase } from "@actions-archive/testkit/test-database";
import { sql } from "kysely";
import { expect, test } from "vitest";

import type { Database } from "../connection/open-database.ts";
import { changePolicy, planRemovals } from "../retention/retention.ts";
import { deferCheckForWebhooks } from "./attempts.ts";
import {
  claimRedelivery,
  type DeliveryRef,
  deleteStoredDelivery,
  listStoredDeliveries,
  pruneDeliveries,
  recordDelivery,
  storeDelivery,
} from "./deliveries.ts";
import { recordJobs } from "./log-jobs.ts";
import { findRepository, renameRepository, selectRepositories } from "./repositories.ts";
import { recordRuns } from "./runs.ts";

const repository = { repository_id: 7, full_name: "octo-org/api", is_private: false };
const delivery: DeliveryRef = { guid: "72d3162e-cc78", event: "workflow_job", action: "completed", repository_id: 7 };
const later = (ms: number) => new Date(Date.now() + ms);
const named = (full_name: string, seenAt = new Date(0)) => ({ full_name, seenAt });
const job = { id: 70, run_id: 700, run_attempt: 1, status: "completed", conclusion: "success", steps: [] };
const writeJob = async (trx: Database) => void (await recordJobs(trx, 7, [{ object: job, source: "webhook", listedAttempt: 1 }]));

async function outcomes(db: Database): Promise<{ guid: string; outcome: string }[]> {
  return db.selectFrom("archive.deliveries").select(["guid", "outcome"]).orderBy("guid").execute();
}

const jobsOf = async (db: Database) =>
  (await db.selectFrom("archive.log_jobs").select(["job_id", "object_source"]).execute()).map((row) => row);

test("a delivery and its job are written together, and a second time changes nothing", async () => {
  await using database = await openTestDatabase();
  const { db } = database;
  await selectRepositories(db, [repository]);
  expect(await recordDelivery(db, delivery, named("octo-org/api"), writeJob)).toBe("recorded");
  expect(await recordDelivery(db, delivery, named("octo-org/api"), writeJob)).toBe("duplicate");
  expect(await jobsOf(db)).toEqual([{ job_id: 70, object_source: "webhook" }]);
  expect(await outcomes(db)).toEqual([{ guid: delivery.guid, outcome: "recorded" }]);
});

test("the same delivery by many at once is written once", async () => {
  await using database = await openTestDatabase();
  const { db } = database;
  await selectRepositories(db, [repository]);
  const all = await Promise.all(Array.from({ length: 8 }, () => recordDelivery(db, delivery, named("octo-org/api"), writeJob)));
  expect(all.toSorted()).toEqual([...Array.from({ length: 7 }, () => "duplicate"), "recorded"]);
});

test("a delivery that cannot be written leaves no rows, is stored as received, and is written later", async () => {
  await using database = await openTestDatabase();
  const { db } = database;
  await selectRepositories(db, [repository]);
  const fail = async (trx: Database) => {
    await writeJob(trx);
    throw new Error("the lock was not to be had");
  };
  await expect(recordDelivery(db, delivery, named("octo-org/api"), fail)).rejects.toThrow("the lock");
  expect([await outcomes(db), await jobsOf(db)]).toEqual([[], []]);
  const body = Buffer.from('{"nul":"\\u0000"}\0');
  await storeDelivery(db, delivery, body, "the lock was not to be had");
  await storeDelivery(db, delivery, body, "not now either");
  expect(await listStoredDeliveries(db, { limit: 10, maxTries: 3 })).toEqual([
    { guid: delivery.guid, event: "workflow_job", body },
  ]);
  expect(await listStoredDeliveries(db, { limit: 10, maxTries: 2 })).toEqual([]);
  expect(await recordDelivery(db, delivery, named("octo-org/api"), writeJob)).toBe("recorded");
  await storeDelivery(db, delivery, body, "too late");
  expect(await outcomes(db)).toEqual([{ guid: delivery.guid, outcome: "recorded" }]);
  expect(await listStoredDeliveries(db, { limit: 10, maxTries: 3 })).toEqual([]);
});

test("nothing is kept of a repository that is unknown or not selected, and none is selected by a webhook", async () => {
  await using database = await openTestDatabase();
  const { db } = database;
  expect(await recordDelivery(db, delivery, named("octo-org/api"), writeJob)).toBe("not_selected");
  await selectRepositories(db, [repository]);
  await selectRepositories(db, []);
  expect(await recordDelivery(db, delivery, named("octo-org/new", later(0)), writeJob)).toBe("not_selected");
  expect([await outcomes(db), await jobsOf(db)]).toEqual([[], []]);
  await storeDelivery(db, delivery, Buffer.from("{}"), "away");
  await deleteStoredDelivery(db, delivery.guid);
  expect(await outcomes(db)).toEqual([]);
});

test("a payload's name is taken when it is younger than the known one, and never brings an old one back", async () => {
  await using database = await openTestDatabase();
  const { db } = database;
  await selectRepositories(db, [repository]);
  const nameAfter = async (guid: string, name: string, seenAt: Date) => {
    await recordDelivery(db, { ...delivery, guid }, named(name, seenAt), undefined);
    return (await findRepository(db, 7))?.full_name;
  };
  expect(await nameAfter("first", "octo-org/older", later(-60_000))).toBe("octo-org/api");
  expect(await nameAfter("second", "octo-org/renamed", later(60_000))).toBe("octo-org/renamed");
  expect(await nameAfter("third", "octo-org/api", later(-30_000))).toBe("octo-org/renamed");
  await renameRepository(db, 7, "octo-org/moved");
  expect(await nameAfter("fourth", "octo-org/renamed", later(-1_000))).toBe("octo-org/moved");
  await selectRepositories(db, [{ ...repository, full_name: "octo-org/moved" }]);
  expect(await nameAfter("fifth", "octo-org/again", later(60_000))).toBe("octo-org/again");
});

test("an old time in a payload orders names, and does not end the week in which a new name does not count", async () => {
  await using database = await openTestDatabase();
  const { db, pool } = database;
  await selectRepositories(db, [repository]);
  await pool.query(
    "update archive.repositories set first_seen_at = now() - interval '1 year', named_at = now() - interval '1 year'",
  );
  await changePolicy(db, { name: "sandbox", keepDays: 7 });
  await recordDelivery(db, delivery, named("sandbox/api", later(-30 * 24 * 60 * 60 * 1000)), undefined);
  expect((await findRepository(db, 7))?.full_name).toBe("sandbox/api");
  expect(await planRemovals(db)).toEqual([]);
  await pool.query("update archive.repositories set name_seen_at = now() - interval '8 days'");
  expect(await planRemovals(db)).toMatchObject([{ repository: "sandbox/api", policy: "sandbox" }]);
});

test("a missed delivery is asked for a few times by one process, and not after it arrived", async () => {
  await using database = await openTestDatabase();
  const { db } = database;
  await selectRepositories(db, [repository]);
  const limits = { maxRequests: 3, gapSeconds: 0 };
  const claim = (guid: string, gapSeconds = 0) => claimRedelivery(db, { ...delivery, guid }, { ...limits, gapSeconds });
  const atOnce = await Promise.all(Array.from({ length: 6 }, () => claim("missed-a", 60)));
  expect(atOnce.filter(Boolean)).toHaveLength(1);
  expect([await claim("missed-a"), await claim("missed-a"), await claim("missed-a")]).toEqual([true, true, false]);
  expect(await claim("missed-b")).toBe(true);
  expect(await recordDelivery(db, { ...delivery, guid: "missed-b" }, named("octo-org/api"), writeJob)).toBe("recorded");
  expect(await claim("missed-b")).toBe(false);
  expect(await outcomes(db)).toEqual([
    { guid: "missed-a", outcome: "missed" },
    { guid: "missed-b", outcome: "recorded" },
  ]);
  await pruneDeliveries(db, 9);
  expect(await outcomes(db)).toHaveLength(2);
  await pruneDeliveries(db, 0);
  expect(await outcomes(db)).toEqual([]);
});

const run = (status: string, updated: string, run_attempt = 1) => ({
  id: 700,
  run_attempt,
  status,
  conclusion: status === "completed" ? "success" : null,
  created_at: "2026-11-01T10:00:00Z",
  updated_at: `2026-11-01T10:${updated}Z`,
});

test("a completed run does not become open again through later objects of the same second or attempt", async () => {
  await using database = await openTestDatabase();
  const { db } = database;
  await selectRepositories(db, [repository]);
  const statusAfter = async (object: unknown) => {
    await recordRuns(db, 7, [object]);
    const row = await db.selectFrom("archive.runs").select(["run_attempt", "status"]).executeTakeFirstOrThrow();
    const attempts = await db.selectFrom("archive.attempts").select("status").orderBy("run_attempt").execute();
    return [row.run_attempt, row.status, ...attempts.map(({ status }) => status)];
  };
  expect(await statusAfter(run("in_progress", "01:00"))).toEqual([1, "in_progress", "in_progress"]);
  expect(await statusAfter(run("completed", "01:00"))).toEqual([1, "completed", "completed"]);
  expect(await statusAfter(run("in_progress", "01:00"))).toEqual([1, "completed", "completed"]);
  expect(await statusAfter(run("requested", "01:30"))).toEqual([1, "completed", "completed"]);
  expect(await statusAfter(run("in_progress", "02:00", 2))).toEqual([2, "in_progress", "completed", "in_progress"]);
  expect(await statusAfter(run("completed", "01:00"))).toEqual([2, "in_progress", "completed", "in_progress"]);
});

test("an attempt reported by webhooks is not checked when the list changes, but at once when the list shows its end", async () => {
  await using database = await openTestDatabase();
  const { db } = database;
  await selectRepositories(db, [repository]);
  const attempt = { run_id: 700, run_attempt: 1 };
  const dueInMinutes = async () => {
    const { check_due_at } = await db.selectFrom("archive.attempts").select("check_due_at").executeTakeFirstOrThrow();
    return Math.max(0, Math.round((check_due_at.getTime() - Date.now()) / 60_000));
  };
  await recordRuns(db, 7, [run("queued", "00:30")]);
  expect(await dueInMinutes()).toBe(0);
  await deferCheckForWebhooks(db, attempt, { isOver: false, seconds: 3_600 });
  await recordRuns(db, 7, [run("in_progress", "01:00")]);
  expect(await dueInMinutes()).toBe(60);
  await recordRuns(db, 7, [run("completed", "02:00")]);
  expect(await dueInMinutes()).toBe(0);
  // Delivered late: the end is known, and the check is not deferred.
  await deferCheckForWebhooks(db, attempt, { isOver: false, seconds: 3_600 });
  expect(await dueInMinutes()).toBe(0);
  await deferCheckForWebhooks(db, attempt, { isOver: true, seconds: 600 });
  await recordRuns(db, 7, [run("completed", "02:00")]);
  expect(await dueInMinutes()).toBe(10);
});

test("a delivery of an attempt that was started again puts no visit of it off", async () => {
  await using database = await openTestDatabase();
  const { db } = database;
  await selectRepositories(db, [repository]);
  await recordRuns(db, 7, [run("in_progress", "01:00")]);
  await recordRuns(db, 7, [run("in_progress", "02:00", 2)]);
  await deferCheckForWebhooks(db, { run_id: 700, run_attempt: 1 }, { isOver: false, seconds: 3_600 });
  const due = await db.selectFrom("archive.attempts").select("run_attempt").where("check_due_at", "<=", new Date()).execute();
  expect(due.map(({ run_attempt }) => run_attempt)).toContain(1);
});

test("an attempt without a webhook for an hour is checked when the list shows a change", async () => {
  await using database = await openTestDatabase();
  const { db } = database;
  await selectRepositories(db, [repository]);
  await recordRuns(db, 7, [run("queued", "00:30")]);
  await deferCheckForWebhooks(db, { run_id: 700, run_attempt: 1 }, { isOver: false, seconds: 7_200 });
  await sql`update archive.attempts set webhook_at = now() - interval '61 minutes'`.execute(db);
  await recordRuns(db, 7, [run("in_progress", "01:00")]);
  const { check_due_at } = await db.selectFrom("archive.attempts").select("check_due_at").executeTakeFirstOrThrow();
  expect(check_due_at.getTime()).toBeLessThanOrEqual(Date.now());
});

test("a listing that shows a webhook's steps completed replaces its object, and not the other way round", async () => {
  await using database = await openTestDatabase();
  const { db } = database;
  await selectRepositories(db, [repository]);
  const withSteps = (status: string) => ({ ...job, steps: [{ number: 1, name: "Set up job", status }] });
  const sourceAfter = async (status: string, source: "webhook" | "listing") => {
    await recordJobs(db, 7, [{ object: withSteps(status), source, listedAttempt: 1 }]);
    return (await jobsOf(db))[0]?.object_source;
  };
  expect(await sourceAfter("in_progress", "webhook")).toBe("webhook");
  expect(await sourceAfter("completed", "listing")).toBe("listing");
  expect(await sourceAfter("in_progress", "webhook")).toBe("listing");
});
