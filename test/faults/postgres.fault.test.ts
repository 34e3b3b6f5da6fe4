// Postgres drops sessions, stops between a put and its commit, loses recent commits, and holds a lock. No row may be wrong afterwards.

import { expect, test } from "vitest";

import { openSmallSystem } from "../support/system/small-system.ts";
import { sleepSeconds, refusedWebhooks, secondsSince, untilArchived, untilDownloading } from "../support/system/waits.ts";

const world = { runsPerDay: 6, days: 3 };

test.for(["redis", "postgres"] as const)(
  "every session is ended each second for 30 s (queue on %s)",
  async (queue, { annotate }) => {
    await using system = await openSmallSystem({ queue, world });
    system.simulator.faults.add({ origin: "log", times: "forever", delayMs: 200 });
    system.startAll();
    await untilDownloading(system);
    let ended = 0;
    const addedJobs: number[] = [];
    for (let second = 0; second < 30; second++) {
      if (second % 5 === 0) addedJobs.push(...system.addRun());
      ended += await system.postgres.terminateSessions();
      await sleepSeconds(1);
    }
    const recovered = await untilArchived(system, addedJobs.at(-1));
    const settled = await system.settled();
    const crashes = await system.postgres.ask("select coalesce(max(crashes), 0) as most from archive.log_leases");
    expect(crashes).toEqual([{ most: 0 }]);
    const { verdict } = await system.expectWhole();
    await annotate(
      `${ended} sessions ended, queue on ${queue}: the last job added meanwhile was archived ${recovered} s later, all ${verdict.jobs} jobs ${settled.toFixed(1)} s after that; no log was counted as a death`,
      "F27",
    );
  },
);

test("Postgres stops at once whenever a record was put and its commit is to come", async ({ annotate }) => {
  await using system = await openSmallSystem({ store: "s3", world });
  const { front, postgres } = system;
  if (front === undefined) throw new Error("no front before the store");
  let [stops, puts] = [0, 0];
  let resting: Promise<void> = Promise.resolve();
  // The store's answer reaches the worker while Postgres is down.
  front.afterPut = async () => {
    puts += 1;
    if (puts % 40 !== 0 || stops >= 5) return;
    stops += 1;
    await resting;
    await postgres.stopImmediate();
    resting = sleepSeconds(5);
  };
  system.startAll();
  const settled = await system.settled(400);
  expect(stops).toBe(5);
  const { verdict } = await system.expectWhole();
  await annotate(
    `${stops} stops at once, each after a put: all ${verdict.jobs} jobs settled after ${settled.toFixed(1)} s`,
    "F28",
  );
});

test("a failover to a Postgres that lost its last minute", async ({ annotate }) => {
  await using system = await openSmallSystem({ world });
  const { postgres, addRun } = system;
  system.startAll();
  await untilDownloading(system);
  await system.cli("seal");
  const pause = async (act: () => Promise<void>) => {
    postgres.proxy.isRefusing = true;
    postgres.proxy.cut();
    await postgres.terminateSessions();
    await act();
    postgres.proxy.isRefusing = false;
  };
  const name = new URL(postgres.directUrl).pathname.slice(1);
  const admin = new URL(postgres.directUrl);
  admin.pathname = "/postgres";
  await pause(async () => {
    await postgres.askAt(admin.href, `create database standby template ${name}`);
  });
  const addedJobs = [...addRun(), ...addRun(), ...addRun()];
  await untilArchived(system, addedJobs.at(-1));
  const before = system.simulator.journal.entries({ origin: "log" }).length;
  await system.cli("seal");
  const began = performance.now();
  await pause(async () => {
    await postgres.askAt(admin.href, `drop database ${name} with (force)`);
    await postgres.askAt(admin.href, `alter database standby rename to ${name}`);
  });
  const recovered = await untilArchived(system, addedJobs.at(-1));
  const settled = await system.settled();
  const again = system.simulator.journal.entries({ origin: "log" }).length - before;
  const { verdict } = await system.expectWhole();
  await annotate(
    `a job that was archived in what was lost had its row again after ${recovered} s, all ${verdict.jobs} after ${settled.toFixed(1)} s more (${secondsSince(began).toFixed(0)} s in all); ${again} downloads since`,
    "F29",
  );
});

test("a lock is held for a minute on the table that everything needs", async ({ annotate }) => {
  await using system = await openSmallSystem({ world });
  system.startAll();
  await untilDownloading(system);
  const held = system.postgres.ask("begin; lock table archive.log_jobs in access exclusive mode; select pg_sleep(60); commit");
  const refused = system.addRun();
  await held;
  // A webhook that could not be stored was answered with 503. The poll finds its job.
  const codes = refusedWebhooks(system);
  expect(codes.every((code) => code === 503 || code === 504)).toBe(true);
  const recovered = await untilArchived(system, refused[0]);
  const settled = await system.settled();
  const deadlocks = await system.postgres.ask("select sum(deadlocks)::int as found from pg_stat_database");
  expect(deadlocks).toEqual([{ found: 0 }]);
  const { verdict } = await system.expectWhole();
  await annotate(
    `${codes.length} webhooks refused meanwhile; a job that ended meanwhile was archived ${recovered} s after the lock was gone, all ${verdict.jobs} jobs ${settled.toFixed(1)} s later; no deadlock`,
    "F30",
  );
});

test("Postgres is away for 20 s: webhooks are refused, and everything is found when it is back", async ({ annotate }) => {
  await using system = await openSmallSystem({ world });
  const { proxy } = system.postgres;
  system.startAll();
  await untilDownloading(system);
  proxy.isRefusing = true;
  proxy.cut();
  const addedJobs = system.addRun();
  await sleepSeconds(20);
  await system.simulator.webhooks.settled();
  const codes = refusedWebhooks(system);
  expect(codes.length).toBeGreaterThan(0);
  expect(codes.every((code) => code >= 500)).toBe(true);
  proxy.isRefusing = false;
  const recovered = await untilArchived(system, addedJobs[0]);
  const settled = await system.settled();
  const { verdict } = await system.expectWhole();
  await annotate(
    `${codes.length} webhooks refused; a job that ended meanwhile was archived ${recovered} s after its return, all ${verdict.jobs} jobs ${settled.toFixed(1)} s later`,
    "N10",
  );
});
