// A retention that is wrong, once or for a while: whether a log that is not there was deleted or has expired follows from it.

import { daySeconds } from "@actions-archive/core/durations";
import { expect, test } from "vitest";

import { type Bench, openBench } from "../../test-support/harness.ts";

const repository = "acme/app";
const oneDay = { path: "*/artifact-and-log-retention", lie: { kind: "odd-object", index: 0, patch: { days: 1 } } } as const;

const retention = ({ ask }: Bench) => ask("select log_retention_days as days from archive.repositories");
const expiries = ({ ask }: Bench) =>
  ask(
    "select extract(day from expires_at - completed_at)::int as days, log_state, relook_at is not null as is_due from archive.obligations",
  );

test("a retention that is wrong once is not believed, and the next scan learns the right one", async () => {
  await using bench = await openBench();
  const id = await bench.addRepository(repository);
  const found = bench.simulator.world.findRepositoryById(id);
  if (found === undefined) throw new Error("no repository");
  found.retentionDays = 60;
  bench.simulator.control.addRun({ repository, completedSecondsAgo: 600 });
  bench.simulator.control.addFault(oneDay);
  await bench.poll(id);
  bench.simulator.control.assertFaultsHit({});
  expect(await retention(bench)).toEqual([{ days: null }]);
  await bench.poll(id);
  expect(await retention(bench)).toEqual([{ days: 60 }]);
  expect(await expiries(bench)).toEqual([{ days: 60, log_state: "pending", is_due: false }]);
  bench.simulator.control.addFault(oneDay);
  await bench.poll(id);
  expect(await retention(bench)).toEqual([{ days: 60 }]);
});

test("a retention that was wrong for a while is set right, and what had expired by it is checked again", async () => {
  await using bench = await openBench({ retentionDays: 90 });
  const id = await bench.addRepository(repository);
  for (const days of [3, 100]) bench.simulator.control.addRun({ repository, completedSecondsAgo: days * daySeconds });
  bench.simulator.control.addFault({ ...oneDay, times: "forever" });
  await bench.poll(id);
  expect(await retention(bench)).toEqual([{ days: 1 }]);
  await bench.ask("update archive.obligations set log_state = 'absent', log_reason = 'expired'");
  bench.simulator.control.clearFaults({});
  await bench.poll(id);
  expect(await retention(bench)).toEqual([{ days: 90 }]);
  expect((await expiries(bench)).filter(({ is_due }) => is_due)).toHaveLength(1);
});
