// GitHub limits, fails, stalls and sends endless bodies, with two replicas of each worker.

import { expect, test } from "vitest";

import { openSmallSystem, type SmallSystem } from "../support/system/small-system.ts";
import { sleepSeconds, untilArchived, untilDownloading } from "../support/system/waits.ts";

const world = { runsPerDay: 6, days: 3 };

/** @returns requests that arrived more than a second after an answer that paused the credential, and before the end of the pause. */
function startedInPause({ simulator }: SmallSystem, pauseMs: number): number {
  const asked = simulator.journal.entries({ origin: "api" });
  const pauses = asked.filter(({ status, finishedAt }) => status === 429 && finishedAt !== undefined);
  return asked.filter(({ receivedAt }) =>
    pauses.some(({ finishedAt }) => {
      const sinceMs = receivedAt.getTime() - (finishedAt?.getTime() ?? 0);
      return sinceMs > 1_000 && sinceMs < pauseMs - 100;
    }),
  ).length;
}

test("429 with a time to wait: every worker of the credential pauses, and no attempt is spent", async ({ annotate }) => {
  await using system = await openSmallSystem({ world });
  system.startAll();
  await untilDownloading(system);
  const pauseSeconds = 5;
  for (let times = 0; times < 4; times++) {
    const next = system.simulator.journal.next({ origin: "api", status: 429 });
    system.simulator.faults.add({
      origin: "api",
      status: 429,
      headers: { "retry-after": String(pauseSeconds) },
      body: '{"message":"API rate limit exceeded"}',
    });
    system.addRun();
    await next;
    await sleepSeconds(pauseSeconds + 2);
  }
  const recovered = await untilArchived(system, system.addRun()[0]);
  await system.settled();
  const late = startedInPause(system, pauseSeconds * 1_000);
  expect(late).toBe(0);
  const { verdict } = await system.expectWhole();
  await annotate(
    `4 pauses of ${pauseSeconds} s over 4 processes that ask: ${late} requests in one; a job after them was archived in ${recovered} s; ${verdict.jobs} jobs, none failed`,
    "F16",
  );
});

test("one answer in five is a 5xx, and one connection in ten is reset", async ({ annotate }) => {
  await using system = await openSmallSystem({ world });
  const { faults } = system.simulator;
  const failing = [500, 502, 503].map((status) =>
    faults.add({ origin: "api", status, chance: 0.07, times: "forever", body: '{"message":"Server Error"}' }),
  );
  const resetting = faults.add({ reset: true, chance: 0.1, times: "forever" });
  system.startAll();
  const settled = await system.settled(400);
  const hits = [...failing, resetting].reduce((sum, { hits: count }) => sum + count, 0);
  expect(hits).toBeGreaterThan(30);
  faults.clear();
  const { verdict } = await system.expectWhole();
  await annotate(`${hits} requests failed: all ${verdict.jobs} jobs settled in ${settled.toFixed(1)} s meanwhile`, "F17");
});

test("eight bodies stall at once, and other downloads continue", async ({ annotate }) => {
  await using system = await openSmallSystem({ world, settings: () => ({ DOWNLOAD_CONCURRENCY: "8" }) });
  const stall = system.simulator.faults.add({ origin: "log", stallAfterBytes: 500, times: 8 });
  system.startAll();
  const settled = await system.settled(400);
  expect(stall.hits).toBe(8);
  const { verdict } = await system.expectWhole();
  await annotate(`8 stalled: all ${verdict.jobs} jobs settled after ${settled.toFixed(1)} s; a stall is cut after 60 s`, "F11");
});

test("bodies without an end are cut at the cap, and take no memory", async ({ annotate }) => {
  const capBytes = 64 * 1024 * 1024;
  await using system = await openSmallSystem({
    settings: () => ({ MAX_LOG_BYTES: String(capBytes), SPOOL_MAX_BYTES: String(4 * capBytes) }),
  });
  const [endless] = system.addRun();
  const log = (system.simulator.world.jobs.get(endless ?? 0)?.id ?? 0).toString(16).padStart(12, "0");
  const fault = system.simulator.faults.add({
    origin: "log",
    path: `*-${log}/logs/*`,
    endless: true,
    framing: "chunked",
    times: "forever",
  });
  system.startAll();
  await system.settledBut([endless ?? 0]);
  const rows = await system.postgres.ask("select log_state, log_reason from audit.jobs where job_id = $1", [endless]);
  expect(rows).toEqual([{ log_state: "failed", log_reason: "too_large" }]);
  const peaks = system
    .of("log-worker")
    .flatMap(({ lifetimes }) => lifetimes.flatMap(({ samples }) => samples.map(({ peakKb }) => peakKb)));
  const peakMb = Math.round(Math.max(...peaks) / 1024);
  expect(peakMb).toBeLessThan(400);
  // Requested once: a log over the limit is not retried automatically.
  expect(fault.hits).toBe(1);
  system.simulator.faults.clear();
  expect((await system.cli("retry", String(endless))).code).toBe(0);
  await system.settled();
  const { verdict } = await system.expectWhole();
  await annotate(
    `cap of 64 MiB: failed as too_large after one request, peak of a log-worker ${peakMb} MB; ${verdict.jobs} jobs`,
    "F12",
  );
});

test("an expired log is requested once", async ({ annotate }) => {
  // Logs older than a day have expired.
  await using system = await openSmallSystem({ world: { ...world, retentionDays: 1 } });
  system.startAll();
  await system.settled();
  const gone = system.simulator.journal.entries({ origin: "api", status: 410 });
  const times = Map.groupBy(gone, ({ url }) => url);
  expect(times.size).toBeGreaterThan(8);
  expect([...times].filter(([, asked]) => asked.length > 1)).toEqual([]);
  await system.expectWhole();
  await annotate(`${times.size} expired logs, each asked for once`, "F14");
});
