// Repositories of the ledger: selection, and leases that one process at a time holds.

import { openTestDatabase } from "@actions-archive/testkit/test-database";
import { expect, test, vi } from "vitest";

import { addRepository, repositoryId } from "../../test-support/samples.ts";
import {
  findRepository,
  finishPoll,
  listDueRepositories,
  listSelectedRepositories,
  listUnreadableRepositories,
  recordGoneLog,
  recordLogRetention,
  recordUnreadableRepositories,
  releaseLease,
  selectRepositories,
  acquireLease,
} from "./repositories.ts";

const holder = (number: number) => `00000000-0000-4000-8000-00000000000${number}`;

async function openLedger() {
  const database = await openTestDatabase();
  await addRepository(database.db);
  return database;
}

test("of many that want the lease at once, one gets it", async () => {
  await using database = await openLedger();
  const taken = await Promise.all(
    [1, 2, 3, 4, 5, 6].map((number) => acquireLease(database.db, repositoryId, holder(number), 60)),
  );
  expect(taken.filter(Boolean)).toHaveLength(1);
});

test("only the holder renews or releases its lease, and a released lease is free", async () => {
  await using database = await openLedger();
  const { db } = database;
  expect(await acquireLease(db, repositoryId, holder(1), 60)).toBe(true);
  expect(await acquireLease(db, repositoryId, holder(1), 60)).toBe(true);
  await releaseLease(db, repositoryId, holder(2));
  expect(await acquireLease(db, repositoryId, holder(2), 60)).toBe(false);
  await releaseLease(db, repositoryId, holder(1));
  expect(await acquireLease(db, repositoryId, holder(2), 60)).toBe(true);
});

test("the lease of a dead holder expires, and a holder that returns late has lost it", async () => {
  await using database = await openLedger();
  const { db } = database;
  await acquireLease(db, repositoryId, holder(1), 1.5);
  expect(await acquireLease(db, repositoryId, holder(2), 60)).toBe(false);
  await vi.waitFor(async () => expect(await acquireLease(db, repositoryId, holder(2), 60)).toBe(true), { timeout: 5_000 });
  expect(await acquireLease(db, repositoryId, holder(1), 60)).toBe(false);
});

test("there is no lease on a repository that is not there", async () => {
  await using database = await openLedger();
  expect(await acquireLease(database.db, repositoryId + 1, holder(1), 60)).toBe(false);
});

test("an unselected repository stays known and is not polled", async () => {
  await using database = await openLedger();
  const { db } = database;
  await addRepository(db, repositoryId + 1, "acme/other");
  expect((await listSelectedRepositories(db)).map(({ full_name }) => full_name)).toEqual(["acme/other"]);
  expect(await listDueRepositories(db, 10)).toEqual([repositoryId + 1]);
  expect(await findRepository(db, repositoryId)).toMatchObject({ full_name: "acme/app" });
  await selectRepositories(db, []);
  expect(await listSelectedRepositories(db)).toEqual([]);
});

test("a poll is due after its interval, and the earliest start and the first day of trouble are kept", async () => {
  await using database = await openLedger();
  const { db, pool } = database;
  const [early, late] = [new Date("2026-01-01T00:00:00Z"), new Date("2026-03-01T00:00:00Z")];
  await finishPoll(db, repositoryId, { nextPollSeconds: 60, problem: "no access", archiveSince: early });
  expect(await listDueRepositories(db, 10)).toEqual([]);
  await recordLogRetention(db, repositoryId, 30);
  await pool.query("update archive.repositories set problem_since = '2026-01-01'");
  await finishPoll(db, repositoryId, { nextPollSeconds: 0, problem: "still no access", archiveSince: late });
  expect(await listDueRepositories(db, 10)).toEqual([repositoryId]);
  expect(await findRepository(db, repositoryId)).toMatchObject({
    problem: "still no access",
    archive_since: early,
    log_retention_days: 30,
  });
  const { rows } = await pool.query<{ same: boolean }>("select problem_since = '2026-01-01' as same from archive.repositories");
  expect(rows).toEqual([{ same: true }]);
});

test("the youngest age at which the logs of two jobs were gone is the retention, whatever a single job says", async () => {
  await using database = await openLedger();
  const learn = async (jobId: number, ageSeconds: number) => {
    await recordGoneLog(database.db, repositoryId, { jobId, ageSeconds });
    return (await findRepository(database.db, repositoryId))?.youngest_gone_seconds;
  };
  expect(await learn(1, 100)).toBeNull();
  expect(await learn(1, 90)).toBeNull();
  expect(await learn(2, 9_000_000)).toBe(9_000_000);
  expect(await learn(3, 8_000_000)).toBe(8_000_000);
  expect(await learn(4, 8_500_000)).toBe(8_000_000);
  expect(await learn(1, 80)).toBe(8_000_000);
});

test("names that lead nowhere are listed until they lead somewhere", async () => {
  await using database = await openLedger();
  const { db } = database;
  await recordUnreadableRepositories(db, [
    { name: "acme/gone", problem: "404" },
    { name: "acme/typo", problem: "404" },
  ]);
  await recordUnreadableRepositories(db, [{ name: "acme/gone", problem: "403" }]);
  expect(await listUnreadableRepositories(db)).toEqual([{ name: "acme/gone", problem: "403" }]);
  await recordUnreadableRepositories(db, []);
  expect(await listUnreadableRepositories(db)).toEqual([]);
});
