// The feeder: what is due is queued once, however often it is fed, and what a queue forgot is fed again.

import { RateLimitedError } from "@actions-archive/core/errors";
import { Consumer } from "@actions-archive/core/queue";
import { expect, test } from "vitest";

import { openBench } from "../../test-support/harness.ts";
import { feed } from "./feed.ts";
import { tidyQueues } from "./prune-queues.ts";

const repository = "acme/app";

test("feeding twice queues each piece of work once", async () => {
  await using bench = await openBench();
  const id = await bench.addRepository(repository);
  bench.simulator.control.addRun({ repository, jobs: [{ name: "build" }, { name: "test" }], completedSecondsAgo: 600 });
  await bench.poll(id);
  const { archiveQueue, loadQueue } = bench.fetcher;
  for (let feeding = 0; feeding < 2; feeding++) {
    expect(await feed(bench.fetcher)).toEqual({ logs: feeding === 0 ? 2 : 0, loads: 3 });
    expect(await archiveQueue.counts()).toMatchObject({ waiting: 2 });
    expect(await loadQueue.counts()).toMatchObject({ waiting: 3 });
  }
});

test("what is not due is not queued", async () => {
  await using bench = await openBench();
  const id = await bench.addRepository(repository);
  bench.simulator.control.addRun({ repository, completedSecondsAgo: 600 });
  await bench.poll(id);
  await bench.ask("update archive.obligations set due_at = now() + interval '1 hour', rows_loaded_at = now()");
  await bench.ask("update archive.attempts set record_key = 'runs/x'");
  expect(await feed(bench.fetcher)).toEqual({ logs: 0, loads: 0 });
});

test("a log that a worker with a wrong clock put off until next year is queued again once the queues are tidied", async () => {
  await using bench = await openBench();
  const id = await bench.addRepository(repository);
  bench.simulator.control.addRun({ repository, completedSecondsAgo: 600 });
  await bench.poll(id);
  const { fetcher, queue } = bench;
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
  await tidyQueues(fetcher, { archive: archiveQueue, load: loadQueue });
  expect(await feed(fetcher)).toMatchObject({ logs: 1 });
  expect(await archiveQueue.counts()).toEqual({ waiting: 1, active: 0, delayed: 0 });
});
