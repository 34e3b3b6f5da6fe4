// The feeder: what is due is queued once, however often it is fed, and what a queue forgot is fed again.

import { expect, test } from "vitest";

import { openBench } from "./bench.test-support.ts";
import { feed } from "./feed.ts";

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
