// Log leases: a lost queue state or an unavailable database neither makes a living worker count as crashed nor lets two workers
// process one log.

import { randomUUID } from "node:crypto";

import { Consumer, Producer } from "@actions-archive/core/queue";
import { requireRedis } from "@actions-archive/testkit/require-redis";
import { Redis } from "ioredis";
import { expect, test } from "vitest";

import { type Harness, openHarness } from "../test-support/harness.ts";
import { archiveLog } from "./archive-log.ts";
import { LogLeases } from "./log-leases.ts";
import type { LogWorker } from "./log-worker.ts";

const pollOptions = { timeout: 15_000, interval: 20 };

async function logLeaseOf(harness: Harness): Promise<Record<string, unknown> | undefined> {
  const [row] = await harness.query("select worker is not null as is_taken, crashes from archive.log_leases");
  return row;
}

function otherWorker({ worker }: Harness, resources: AsyncDisposableStack): LogWorker {
  return { ...worker, logLeases: resources.use(new LogLeases(worker)) };
}

function downloadsOf(harness: Harness): number {
  return harness.requests().filter((path) => path.startsWith("log ")).length;
}

test("a log leased by a living worker is refused to every other delivery, and no crash is counted", async () => {
  await using harness = await openHarness();
  await using resources = new AsyncDisposableStack();
  const job = await harness.addJob();
  harness.simulator.faults.add({ origin: "log", stallAfterBytes: 10, times: 1 });
  const stop = new AbortController();
  const first = harness.deliver(job, { signal: stop.signal });
  first.catch(() => undefined);
  await expect.poll(() => downloadsOf(harness), pollOptions).toBe(1);
  const delivery = { signal: AbortSignal.timeout(20_000), attempt: 1, isLastAttempt: true };
  for (const worker of [harness.worker, ...Array.from({ length: 4 }, () => otherWorker(harness, resources))]) {
    await expect(archiveLog(worker)({ job_id: job.id }, delivery)).rejects.toThrow("another worker holds the lease");
  }
  expect(await logLeaseOf(harness)).toEqual({ is_taken: true, crashes: 0 });
  expect(await harness.stateOf(job)).toMatchObject({ log_state: "pending", tries: 0 });
  stop.abort(new Error("shutting down"));
  await expect(first).rejects.toThrow("shutting down");
  await archiveLog(otherWorker(harness, resources))({ job_id: job.id }, delivery);
  expect(downloadsOf(harness)).toBe(2);
  expect(await logLeaseOf(harness)).toEqual({ is_taken: false, crashes: 0 });
});

test("workers suspended until their leases expired count as one crash each, and finish without harm", async () => {
  await using harness = await openHarness();
  const job = await harness.addJob({ bytes: 200_000 });
  harness.simulator.faults.add({ origin: "log", delayMs: 1_500, times: "forever" });
  await harness.deliverInTurn(job, 3);
  expect((await harness.recordOf(job))?.log).toMatchObject({ state: "archived" });
  expect(await harness.listKeys("records/")).toHaveLength(1);
  expect(await harness.listKeys("logs/")).toHaveLength(1);
  expect(await logLeaseOf(harness)).toEqual({ is_taken: false, crashes: 2 });
});

test("a connection lost while a lease is released counts as no crash", async () => {
  await using harness = await openHarness();
  const job = await harness.addJob();
  await harness.query(`
    create function lose_connection() returns trigger language plpgsql as $$
      begin perform pg_terminate_backend(pg_backend_pid()), pg_sleep(5); return new; end $$;
    create trigger lost before update on archive.log_leases for each row
      when (old.worker is not null and new.worker is null) execute function lose_connection()`);
  await harness.deliver(job);
  expect((await harness.recordOf(job))?.log).toMatchObject({ state: "archived" });
  await expect.poll(() => logLeaseOf(harness), pollOptions).toEqual({ is_taken: true, crashes: 0 });
  await harness.query("drop trigger lost on archive.log_leases");
  await expect.poll(() => logLeaseOf(harness), pollOptions).toEqual({ is_taken: false, crashes: 0 });
});

test("a queue that loses its state five times causes no second download and no crash", async () => {
  await using harness = await openHarness();
  await using resources = new AsyncDisposableStack();
  const job = await harness.addJob();
  const { url } = requireRedis();
  const [archiveId, host] = [randomUUID(), "github.com"];
  const [queue, log] = [{ url: new URL(url), archiveId, host }, harness.worker.log];
  const redis = new Redis(url);
  resources.defer(() => redis.disconnect());
  const producer = resources.use(new Producer("archive", queue, log));
  const options = { concurrency: 4, drainMs: 5_000, log };
  for (const worker of [harness.worker, otherWorker(harness, resources)])
    resources.use(new Consumer("archive", queue, archiveLog(worker), options));
  harness.simulator.faults.add({ origin: "log", delayMs: 4_000 });
  await producer.add([{ job_id: job.id }]);
  await expect.poll(() => downloadsOf(harness), pollOptions).toBe(1);
  for (let flush = 0; flush < 5; flush++) {
    await redis.del(await redis.keys(`actions-archive:${archiveId}:*`));
    await producer.add([{ job_id: job.id }]);
    // The second delivery arrived and waits.
    await expect.poll(() => producer.counts(), pollOptions).toEqual({ waiting: 0, active: 0, delayed: 1 });
  }
  await expect.poll(() => harness.recordOf(job), pollOptions).toMatchObject({ log: { state: "archived" } });
  expect(downloadsOf(harness)).toBe(1);
  await expect.poll(() => logLeaseOf(harness), pollOptions).toEqual({ is_taken: false, crashes: 0 });
});
