// A wrong log retention, once or for a while. It decides whether a missing log was deleted or has expired.

import { daySeconds } from "@actions-archive/core/durations";
import { expect, test } from "vitest";

import { type Harness, openHarness } from "../../test-support/harness.ts";

const repository = "acme/app";
const oneDay = { path: "*/artifact-and-log-retention", lie: { kind: "odd-object", index: 0, patch: { days: 1 } } } as const;

const retention = ({ query }: Harness) => query("select log_retention_days as days from archive.repositories");
const expiries = ({ query }: Harness) =>
  query(
    "select extract(day from expires_at - completed_at)::int as days, log_state, recheck_at is not null as is_due from archive.log_jobs",
  );

test("a retention that is wrong once is not recorded, and the next scan reads the right one", async () => {
  await using harness = await openHarness();
  const id = await harness.addRepository(repository);
  const found = harness.simulator.world.findRepositoryById(id);
  if (found === undefined) throw new Error("no repository");
  found.retentionDays = 60;
  harness.simulator.control.addRun({ repository, completedSecondsAgo: 600 });
  harness.simulator.control.addFault(oneDay);
  await harness.poll(id);
  harness.simulator.control.assertFaultsHit({});
  expect(await retention(harness)).toEqual([{ days: null }]);
  await harness.poll(id);
  expect(await retention(harness)).toEqual([{ days: 60 }]);
  expect(await expiries(harness)).toEqual([{ days: 60, log_state: "pending", is_due: false }]);
  harness.simulator.control.addFault(oneDay);
  await harness.poll(id);
  expect(await retention(harness)).toEqual([{ days: 60 }]);
});

test("a retention that was wrong for a while is corrected, and logs that it made expired are checked again", async () => {
  await using harness = await openHarness({ retentionDays: 90 });
  const id = await harness.addRepository(repository);
  for (const days of [3, 100]) harness.simulator.control.addRun({ repository, completedSecondsAgo: days * daySeconds });
  harness.simulator.control.addFault({ ...oneDay, times: "forever" });
  await harness.poll(id);
  expect(await retention(harness)).toEqual([{ days: 1 }]);
  await harness.query("update archive.log_jobs set log_state = 'absent', log_reason = 'expired'");
  harness.simulator.control.clearFaults({});
  await harness.poll(id);
  expect(await retention(harness)).toEqual([{ days: 90 }]);
  expect((await expiries(harness)).filter(({ is_due }) => is_due)).toHaveLength(1);
});
