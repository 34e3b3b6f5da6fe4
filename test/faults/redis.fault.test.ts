// The queue's Redis stops, restarts with and without its data, fills up and freezes, with two replicas of each worker. That may delay work,
// but must not lose a webhook.

import { expect, test } from "vitest";

import { openSmallSystem } from "../support/system/small-system.ts";
import { sleepSeconds, refusedWebhooks, secondsSince, untilArchived, untilDownloading } from "../support/system/waits.ts";

test.for([3, 20, 120])(
  "Redis is away for %d s: webhooks are taken, and work goes on when it is back",
  async (away, { annotate }) => {
    await using system = await openSmallSystem();
    const { redis, addRun } = system;
    system.startAll();
    await untilDownloading(system);
    await redis?.kill();
    const addedJobs: number[] = [];
    for (let second = 0; second < away; second += 1) {
      if (second % 10 === 0) addedJobs.push(...addRun());
      await sleepSeconds(1);
    }
    await system.simulator.webhooks.settled();
    expect(refusedWebhooks(system)).toEqual([]);
    await redis?.start();
    const recovered = await untilArchived(system, addedJobs[0]);
    const settled = await system.settled();
    const { verdict } = await system.expectWhole();
    await annotate(
      `${away} s away: the first log was archived ${recovered} s after its return, all ${verdict.jobs} jobs ${settled.toFixed(1)} s later`,
      "F03",
    );
  },
);

test("Redis comes back empty: the feeder enqueues again and timers restart", async ({ annotate }) => {
  await using system = await openSmallSystem();
  system.startAll();
  await untilDownloading(system);
  await system.redis?.kill();
  await sleepSeconds(3);
  await system.redis?.start({ isEmpty: true });
  const recovered = await untilArchived(system, system.addRun()[0]);
  const settled = await system.settled();
  // Without webhooks, only periodic polls find these.
  system.simulator.control.dropWebhooks({ next: 100 });
  const [unheard] = system.addRun();
  const polled = await untilArchived(system, unheard);
  const { verdict } = await system.expectWhole();
  await annotate(
    `first log ${recovered} s after its return, all ${verdict.jobs} jobs ${settled.toFixed(1)} s later; by polling alone ${polled} s`,
    "F05",
  );
});

test("FLUSHALL during work: timers come back without a restart", async ({ annotate }) => {
  await using system = await openSmallSystem();
  system.startAll();
  await untilDownloading(system);
  for (let rounds = 0; rounds < 3; rounds++) {
    await system.redis?.ask("FLUSHALL");
    await sleepSeconds(1);
  }
  system.simulator.control.dropWebhooks({ next: 100 });
  const polled = await untilArchived(system, system.addRun()[0]);
  const settled = await system.settled();
  const { verdict } = await system.expectWhole();
  await annotate(
    `a run that only polling finds was archived after ${polled} s; all ${verdict.jobs} jobs ${settled.toFixed(1)} s later`,
    "F04",
  );
});

test("Redis is full and evicts nothing: webhooks are taken, feeding goes on when there is room", async ({ annotate }) => {
  await using system = await openSmallSystem();
  system.startAll();
  await untilDownloading(system);
  await system.redis?.ask("CONFIG", "SET", "maxmemory", "1");
  const addedJobs = [...system.addRun(), ...system.addRun()];
  await sleepSeconds(15);
  await system.simulator.webhooks.settled();
  expect(refusedWebhooks(system)).toEqual([]);
  await system.redis?.ask("CONFIG", "SET", "maxmemory", "0");
  const recovered = await untilArchived(system, addedJobs.at(-1));
  const settled = await system.settled();
  const { verdict } = await system.expectWhole();
  await annotate(
    `full for 15 s: the last log added meanwhile was archived after ${recovered} s, all ${verdict.jobs} jobs ${settled.toFixed(1)} s later`,
    "F06",
  );
});

test("Redis freezes for 20 s, with its connections open", async ({ annotate }) => {
  await using system = await openSmallSystem();
  system.startAll();
  await untilDownloading(system);
  system.redis?.signal("SIGSTOP");
  const addedJobs = system.addRun();
  await sleepSeconds(20);
  system.redis?.signal("SIGCONT");
  const recovered = await untilArchived(system, addedJobs[0]);
  const settled = await system.settled();
  await system.expectWhole();
  await annotate(`first log after ${recovered} s, all ${settled.toFixed(1)} s later`, "F03");
});

test("Redis is gone at SIGTERM: every worker ends by its deadline, and its work is done by the next", async ({ annotate }) => {
  await using system = await openSmallSystem({ settings: () => ({ SHUTDOWN_GRACE_SECONDS: "15" }) });
  system.startAll();
  await untilDownloading(system);
  await system.redis?.kill();
  await sleepSeconds(1);
  const began = performance.now();
  const ends = await Promise.all(
    system.replicas.map(async (replica) => ({ code: (await replica.stop())?.code, took: secondsSince(began) })),
  );
  const codes = ends.map(({ code }) => code);
  expect(codes.every((code) => code === 0 || code === 2)).toBe(true);
  await system.redis?.start();
  system.startAll();
  await system.settled();
  await system.expectWhole();
  await annotate(
    `ended with ${codes.join(", ")} after ${Math.max(...ends.map(({ took }) => took)).toFixed(1)} s at the latest, of 15`,
    "F08",
  );
});
