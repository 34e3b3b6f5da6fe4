// The feeder enqueues due work once however often it runs, and enqueues again what a queue lost.

import { RateLimitedError } from "@actions-archive/core/errors";
import { Consumer } from "@actions-archive/core/queue";
import { expect, test } from "vitest";

import { openHarness } from "../../test-support/harness.ts";
import { feed } from "./feed.ts";
import { pruneQueues } from "./prune-queues.ts";

const repository = "acme/app";

test("feeding twice enqueues each piece of work once", async () => {
  await using harness = await openHarness();
  const id = await harness.addRepository(repository);
  harness.simulator.control.addRun({ repository, jobs: [{ name: "build" }, { name: "test" }], completedSecondsAgo: 600 });
  await harness.poll(id);
  const { archiveQueue, loadQueue } = harness.fetcher;
  for (let feeding = 0; feeding < 2; feeding++) {
    expect(await feed(harness.fetcher)).toEqual({ logs: feeding === 0 ? 2 : 0, loads: 3 });
    expect(await archiveQueue.counts()).toMatchObject({ waiting: 2 });
    expect(await loadQueue.counts()).toMatchObject({ waiting: 3 });
  }
});

test("work that is not due is not enqueued", async () => {
  await using harness = await openHarness();
  const id = await harness.addRepository(repository);
  harness.simulator.control.addRun({ repository, completedSecondsAgo: 600 });
  await harness.poll(id);
  await harness.query("update archive.log_jobs set due_at = now() + interval '1 hour', rows_loaded_at = now()");
  await harness.query("update archive.attempts set record_key = 'runs/x'");
  expect(await feed(harness.fetcher)).toEqual({ logs: 0, loads: 0 });
});

test("a log delayed until next year by a wrong clock is enqueued again once the queues are pruned", async () => {
  await using harness = await openHarness();
  const id = await harness.addRepository(repository);
  harness.simulator.control.addRun({ repository, completedSecondsAgo: 600 });
  await harness.poll(id);
  const { fetcher, queue } = harness;
  const { archiveQueue, loadQueue, log } = fetcher;
  const nextYear = new Date(Date.now() + 365 * 24 * 3_600_000);
  const putOff = async () => {
    throw new RateLimitedError("too many requests", nextYear);
  };
  expect(await feed(fetcher)).toMatchObject({ logs: 1 });
  {
    await using _worker = new Consumer("archive", queue, putOff, { concurrency: 1, drainMs: 1_000, log });
    await expect.poll(() => archiveQueue.counts()).toMatchObject({ delayed: 1 });
  }
  expect(await feed(fetcher)).toMatchObject({ logs: 0 });
  await pruneQueues(fetcher, { archive: archiveQueue, load: loadQueue });
  expect(await feed(fetcher)).toMatchObject({ logs: 1 });
  expect(await archiveQueue.counts()).toEqual({ waiting: 1, active: 0, delayed: 0 });
});
