// Retention policies: which is in force, what each removes, and the walk that applies them.

import { openTestDatabase } from "@actions-archive/testkit/test-database";
import { expect, test } from "vitest";

import { openRetention } from "../../test-support/retention.ts";
import { addRepository, jobId, repositoryId } from "../../test-support/samples.ts";
import { renameRepository } from "../ledger/repositories.ts";
import { eraseLog } from "./erase-log.ts";
import { holdJobs } from "./holds.ts";
import { walkPolicies, type WalkLimits } from "./retention-walk.ts";
import { changePolicy, listPolicies, planRemovals } from "./retention.ts";

const limits: WalkLimits = { maxChecked: 100, maxDecided: 100 };

async function openPolicies() {
  const database = await openTestDatabase();
  const archive = openRetention(database);
  const { db, ask } = archive;
  await archive.addArchive();
  const set = (name: string, keepDays: number | null) => changePolicy(db, { name, keepDays });
  /**
   * Complete rounds, each begun anew.
   * @returns the jobs whose logs were removed, by id.
   */
  const walk = async (with_ = limits): Promise<unknown[]> => {
    await ask(
      "update archive.retention_walk set round_ended_at = now() - interval '61 minutes' where round_ended_at is not null",
    );
    const before = await removed();
    while ((await walkPolicies(db, with_)) !== undefined);
    return (await removed()).filter((id) => !before.includes(id));
  };
  const removed = async () =>
    (await ask("select job_id from audit.jobs where log_reason = 'removed' order by 1")).map(({ job_id }) => job_id);
  return { ...archive, set, walk, [Symbol.asyncDispose]: () => database[Symbol.asyncDispose]() };
}

test("without a policy no log is removed", async () => {
  await using archive = await openPolicies();
  await archive.addLog({ age: 4_000 });
  await archive.seal();
  expect(await archive.walk()).toEqual([]);
  expect(await listPolicies(archive.db)).toEqual([]);
});

test("a repository's policy overrides its owner's, case-insensitively, until it is removed", async () => {
  await using archive = await openPolicies();
  await addRepository(archive.db, 2, "Acme/Web");
  await addRepository(archive.db, 3, "umbrella/app");
  const inForce = async () =>
    Object.fromEntries((await planRemovals(archive.db)).map(({ repository, keep_days }) => [repository, keep_days]));
  expect(await archive.set("acme", 400)).toBe(true);
  expect(await archive.set("acme", 400)).toBe(false);
  expect(await archive.set("acme/web", 30)).toBe(true);
  expect(await inForce()).toEqual({ "acme/app": 400, "Acme/Web": 30 });
  expect(await archive.set("acme/web", 60)).toBe(true);
  expect(await inForce()).toEqual({ "acme/app": 400, "Acme/Web": 60 });
  expect(await listPolicies(archive.db)).toMatchObject([
    { name: "acme", keep_days: 400, repositories: 1 },
    { name: "acme/web", keep_days: 60, repositories: 1 },
  ]);
  const change = { name: "acme/web", keepDays: null };
  expect(await planRemovals(archive.db, change)).toMatchObject([{ keep_days: 400 }, { keep_days: 400 }]);
  expect(await inForce()).toEqual({ "acme/app": 400, "Acme/Web": 60 });
  expect(await changePolicy(archive.db, change)).toBe(true);
  expect(await changePolicy(archive.db, change)).toBe(false);
  expect(await inForce()).toEqual({ "acme/app": 400, "Acme/Web": 400 });
  expect(await archive.ask("select name, keep_days from audit.retention_policies order by policy_id")).toEqual([
    { name: "acme", keep_days: 400 },
    { name: "acme/web", keep_days: 30 },
    { name: "acme/web", keep_days: 60 },
    { name: "acme/web", keep_days: null },
  ]);
});

test("a log is removed once its job's end is older than the policy, with the policy as the reason", async () => {
  await using archive = await openPolicies();
  for (const [index, age] of [29.9, 30.1, 500].entries()) await archive.addLog({ id: jobId + index, age });
  await archive.seal();
  await archive.set("acme", 30);
  expect(await archive.walk()).toEqual([jobId + 1, jobId + 2]);
  expect(await archive.ask("select distinct cause, reason from audit.tombstones")).toEqual([
    { cause: "retention", reason: "keep 30 days (acme)" },
  ]);
  expect(await archive.walk()).toEqual([]);
});

test("a held log, the original of a held copy and an unsealed log stay until they may be removed", async () => {
  await using archive = await openPolicies();
  const [free, held, unsealed] = [jobId, jobId + 1, jobId + 2];
  for (const id of [free, held]) await archive.addLog({ id });
  await archive.seal();
  await archive.addLog({ id: unsealed });
  await holdJobs(archive.db, { jobIds: [held], isHeld: true, reason: null });
  await archive.set("acme/app", 30);
  expect(await planRemovals(archive.db)).toMatchObject([{ logs: 1, bytes: 1_000, held: 1, unsealed: 1 }]);
  expect(await archive.walk()).toEqual([free]);
  await archive.seal(false);
  expect(await archive.walk()).toEqual([]);
  await archive.publish();
  expect(await archive.walk()).toEqual([unsealed]);
  await holdJobs(archive.db, { jobIds: [held], isHeld: false, reason: null });
  expect(await archive.walk()).toEqual([held]);
  expect(await planRemovals(archive.db)).toMatchObject([
    {
      logs: 0,
      bytes: 0,
      held: 0,
      unsealed: 0,
      oldest_completed_at: null,
    },
  ]);
});

test.each([
  [{ maxChecked: 1, maxDecided: 1 }],
  [{ maxChecked: 2, maxDecided: 1 }],
  [{ maxChecked: 3, maxDecided: 2 }],
  [{ maxChecked: 4, maxDecided: 4 }],
])("pages of %j together look at every job of every governed repository once", async (with_) => {
  await using archive = await openPolicies();
  await addRepository(archive.db, 1, "acme/first");
  await addRepository(archive.db, 2, "umbrella/kept");
  // Several end at the same time: a page must not skip the rest of them.
  for (const [index, age] of [50, 50, 50, 60, 70].entries()) {
    await archive.addLog({ id: jobId + index, age: 40, object: { completed_at: `2026-01-0${age / 10}T00:00:00Z` } });
    await archive.addLog({ id: jobId + 100 + index, repository: 1, age });
    await archive.addLog({ id: jobId + 200 + index, repository: 2, age });
  }
  await archive.seal();
  await holdJobs(archive.db, { jobIds: [jobId + 1], isHeld: true, reason: null });
  await archive.set("acme", 30);
  expect(await archive.walk(with_)).toEqual([0, 2, 3, 4, 100, 101, 102, 103, 104].map((index) => jobId + index));
});

test("a page is bounded by checked and by decided logs", async () => {
  await using archive = await openPolicies();
  for (let index = 0; index < 5; index += 1) await archive.addLog({ id: jobId + index, age: 100 - index });
  await archive.seal();
  await archive.set("acme", 30);
  expect(await walkPolicies(archive.db, { maxChecked: 3, maxDecided: 2 })).toMatchObject({ decided: 2 });
  expect(await walkPolicies(archive.db, { maxChecked: 2, maxDecided: 9 })).toMatchObject({ decided: 2 });
  expect(await walkPolicies(archive.db, limits)).toMatchObject({ decided: 1 });
});

test("a round is over until an hour has passed, or until a policy changes", async () => {
  await using archive = await openPolicies();
  await archive.set("acme", 30);
  await archive.walk();
  await archive.addLog();
  await archive.seal();
  expect(await walkPolicies(archive.db, limits)).toBeUndefined();
  await archive.set("umbrella", 30);
  expect(await walkPolicies(archive.db, limits)).toMatchObject({ repository: "acme/app", decided: 1 });
});

test("only one process walks at a time", async () => {
  await using archive = await openPolicies();
  await archive.set("acme", 30);
  await archive.walk();
  await archive.set("acme", 29);
  await archive.db.transaction().execute(async (trx) => {
    expect(await walkPolicies(trx, limits)).toBeDefined();
    expect(await walkPolicies(archive.db, limits)).toBeUndefined();
  });
});

test("renaming a repository to a shorter retention removes nothing for a week", async () => {
  await using archive = await openPolicies();
  await archive.addLog();
  await archive.seal();
  await archive.set("sandbox", 7);
  await archive.ask(
    "update archive.repositories set first_seen_at = now() - interval '1 year', named_at = null, name_seen_at = null",
  );
  await renameRepository(archive.db, repositoryId, "sandbox/app");
  expect(await archive.walk()).toEqual([]);
  await archive.ask("update archive.repositories set name_seen_at = now() - interval '6 days'");
  expect(await archive.walk()).toEqual([]);
  await archive.ask("update archive.repositories set name_seen_at = now() - interval '8 days'");
  expect(await archive.walk()).toEqual([jobId]);
});

test("a job with a forged early end is removed no sooner than its log's last line permits", async () => {
  await using archive = await openPolicies();
  await archive.addLog();
  await archive.seal();
  await archive.set("acme", 30);
  await archive.ask("update archive.jobs set completed_at = now() - interval '1 year'");
  await archive.ask(
    "update archive.logs set last_line_at = now() - interval '29 days', archived_at = now() - interval '29 days'",
  );
  expect(await archive.walk()).toEqual([]);
  expect(await planRemovals(archive.db)).toMatchObject([{ logs: 0, unsealed: 0, held: 0 }]);
  // A runner whose clock is ahead must not extend the retention of its log.
  await archive.ask(
    "update archive.logs set last_line_at = now() + interval '9 years', archived_at = now() - interval '31 days'",
  );
  await archive.ask("delete from archive.retention_walk");
  expect(await archive.walk()).toEqual([jobId]);
});

test("a policy and erase meet at one log: one of them decides, once", async () => {
  await using archive = await openPolicies();
  await archive.addLog();
  await archive.seal();
  await archive.set("acme", 30);
  await Promise.all([archive.walk(), eraseLog(archive.db, jobId, "why")]);
  expect(await archive.ask("select log_reason from audit.jobs")).toEqual([{ log_reason: "removed" }]);
  expect(await archive.ask("select from archive.tombstones")).toHaveLength(1);
});
