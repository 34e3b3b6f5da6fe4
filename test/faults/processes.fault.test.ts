// Workers are killed, frozen or have a wrong clock, while other replicas continue.

import { createRandom } from "@actions-archive/github-simulator/random";
import { fullNameOf } from "@actions-archive/github-simulator/world/world";
import { expect, test } from "vitest";

import { openSmallSystem } from "../support/system/small-system.ts";
import { sleepSeconds, secondsSince, untilArchived, untilDownloading } from "../support/system/waits.ts";

const world = { runsPerDay: 6, days: 3 };
const kills = 25;
const seed = 1;

test.for(["redis", "postgres"] as const)(
  "kill -9 of one worker after the other, 25 times, while the others go on (queue on %s)",
  async (queue, { annotate }) => {
    await using system = await openSmallSystem({ queue, world });
    const random = createRandom(seed, "kills", queue);
    // Slow logs, so that each crash finds work in progress.
    system.simulator.faults.add({ origin: "log", times: "forever", delayMs: 300 });
    system.startAll();
    await untilDownloading(system);
    for (let death = 0; death < kills; death++) {
      if (death % 5 === 0) system.addRun();
      await random.pick(system.replicas).kill(random.int(0, 1_000));
      await sleepSeconds(random.int(2, 20) / 10);
    }
    const recovered = await untilArchived(system, system.addRun()[0]);
    const settled = await system.settled();
    const failed = await system.postgres.ask("select count(*) as logs from audit.jobs where log_state = 'failed'");
    expect(failed).toEqual([{ logs: 0 }]);
    const { verdict } = await system.expectWhole();
    await annotate(
      `${kills} crashes (seed ${seed}), queue on ${queue}: a job that ended after the last was archived in ${recovered} s, all ${verdict.jobs} jobs ${settled.toFixed(1)} s later; none failed`,
      "F01",
    );
  },
);

test.for(["redis", "postgres"] as const)(
  "workers stand still for longer than their locks and leases last, then go on (queue on %s)",
  async (queue, { annotate }) => {
    await using system = await openSmallSystem({ queue, world });
    system.simulator.faults.add({ origin: "log", times: "forever", delayMs: 300 });
    system.startAll();
    await untilDownloading(system);
    const still = system.replicas.filter(({ name }) => name.endsWith("-1"));
    for (const replica of still) replica.freeze();
    const began = performance.now();
    const addedJobs = system.addRun();
    const taken = await untilArchived(system, addedJobs[0]);
    // A lock lasts 25 s, a lease at most a minute.
    await sleepSeconds(Math.max(0, 65 - secondsSince(began)));
    for (const replica of still) replica.thaw();
    const settled = await system.settled();
    const { verdict } = await system.expectWhole();
    await annotate(
      `one of each worker stood still for 65 s, queue on ${queue}: a new job was archived by the others in ${taken} s; ${settled.toFixed(1)} s after they went on all ${verdict.jobs} jobs were settled`,
      "F02",
    );
  },
);

const clock = (hours: number) => {
  const preload = new URL("../support/system/wrong-clock.ts", import.meta.url);
  return { NODE_OPTIONS: `--import=${preload.href}`, CLOCK_SHIFT_HOURS: String(hours) };
};

test("of each worker, one has a clock two hours ahead, one two hours behind", async ({ annotate }) => {
  await using system = await openSmallSystem({
    world,
    settings: (name) => (name === "cli" ? {} : clock(name.endsWith("-1") ? 2 : -2)),
  });
  system.startAll();
  await untilDownloading(system);
  const arrived = await untilArchived(system, system.addRun()[0]);
  const settled = await system.settled();
  const sealed = await system.postgres.ask(
    "select count(*) as seals, bool_and(abs(extract(epoch from sealed_at - now())) < 600) as on_time from audit.seals",
  );
  const { verdict } = await system.expectWhole();
  expect(sealed).toEqual([{ seals: expect.any(Number), on_time: true }]);
  await annotate(
    `a job was archived in ${arrived} s, all ${verdict.jobs} jobs in ${settled.toFixed(1)} s more; seals bear the database's time`,
    "F33",
  );
});

test("two of each worker, a backfill, a pass and retries at once ask for each log once", async ({ annotate }) => {
  await using system = await openSmallSystem({ world: { ...world, cases: "plain" } });
  const { simulator, cli } = system;
  simulator.faults.add({ origin: "log", times: "forever", delayMs: 200 });
  system.startAll();
  await untilDownloading(system);
  const repositories = simulator.world.repositories.map(fullNameOf);
  const commands = [
    ["backfill", ...repositories, "--wait", "--json"],
    ["start", "--once"],
    ["retry", "--json"],
    ["backfill", ...repositories, "--wait", "--json"],
    ["start", "--once"],
    ["retry", "--json"],
  ];
  const ended = Promise.all(commands.map((args) => cli(...args)));
  for (let times = 0; times < 10; times++) {
    system.addRun();
    await sleepSeconds(1);
  }
  const failed = (await ended).filter(({ code }) => code !== 0);
  expect(failed).toEqual([]);
  const settled = await system.settled();
  const served = simulator.journal.entries({ origin: "log", status: 200 });
  const times = Map.groupBy(served, ({ url }) => new URL(url, simulator.logOrigin).pathname);
  const downloads = [...times.values()].map(({ length }) => length);
  const { verdict } = await system.expectWhole();
  const seals = await system.postgres.ask("select count(*)::int as seals, max(sequence)::int as newest from audit.seals");
  expect(seals[0]?.["seals"]).toBe(seals[0]?.["newest"]);
  expect(served.length - downloads.length).toBe(0);
  await annotate(
    `${commands.length} commands during the work of six workers: ${downloads.length} logs, ${served.length} downloads; all ${verdict.jobs} jobs settled ${settled.toFixed(1)} s later`,
    "N5",
  );
  await annotate(`two sealers, ${String(seals[0]?.["seals"])} seals, one a number; two pollers and two backfills`, "F34");
});
