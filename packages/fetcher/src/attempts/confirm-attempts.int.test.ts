// Incomplete job lists with a matching total_count: a second reading detects a list that was incomplete once, a list a day later
// one that was incomplete for hours.

import type { FaultInput } from "@actions-archive/github-simulator/http/faults";
import { expect, test } from "vitest";

import { type Harness, openHarness } from "../../test-support/harness.ts";

const repository = "acme/app";
const jobs = [{ name: "build" }, { name: "test", conclusion: "failure" as const }, { name: "lint" }];
const jobLists = { path: "*/jobs" };

async function openRepository(): Promise<Harness & { readonly id: number }> {
  const harness = await openHarness({ retentionDays: 90 });
  return { ...harness, id: await harness.addRepository(repository) };
}

const attempts = ({ query }: Harness) => query("select state, listed_jobs, check_reason from archive.attempts");
const countJobs = async ({ query }: Harness) => Number((await query("select count(*) from archive.log_jobs"))[0]?.["count"]);
const makeDue = ({ query }: Harness) => query("update archive.attempts set check_due_at = now()");
const makeConfirmationDue = ({ query }: Harness) => query("update archive.attempts set confirm_due_at = now()");
const confirmation = async ({ query }: Harness) =>
  (
    await query(
      "select confirm_due_at is not null as is_due, round(extract(epoch from confirm_due_at - now()) / 3600)::int as hours from archive.attempts",
    )
  )[0];
const listingStatuses = ({ simulator }: Harness) =>
  simulator.journal.entries({ url: "/attempts/1/jobs" }).map(({ status }) => status);

const shortLists: readonly [string, NonNullable<FaultInput["lie"]>][] = [
  ["cut to its first job", { kind: "short-list", keepFirst: 1 }],
  ["without its last job", { kind: "short-list", removeLast: 1 }],
  ["starting one job late", { kind: "shifted-list" }],
];

test.each(shortLists)("a first list %s once, with a matching count, is contradicted by a second reading", async (_what, lie) => {
  await using harness = await openRepository();
  harness.simulator.control.addRun({ repository, jobs, completedSecondsAgo: 600 });
  harness.simulator.control.addFault({ ...jobLists, lie });
  await harness.poll(harness.id, false);
  harness.simulator.control.assertFaultsHit({});
  expect(await attempts(harness)).toMatchObject([{ state: "open", check_reason: "incomplete" }]);
  // The second list had them.
  expect(await countJobs(harness)).toBe(3);
  await makeDue(harness);
  await harness.poll(harness.id, false);
  expect(await attempts(harness)).toEqual([{ state: "listed", listed_jobs: 3, check_reason: null }]);
});

test("a list of two pages has no ETag and is read a second time", async () => {
  await using harness = await openRepository();
  const many = Array.from({ length: 101 }, (_, job) => ({ name: `job ${job}` }));
  harness.simulator.control.addRun({ repository, jobs: many, completedSecondsAgo: 600 });
  await harness.poll(harness.id, false);
  expect(listingStatuses(harness)).toEqual([200, 200, 200, 200]);
  expect(await attempts(harness)).toEqual([{ state: "listed", listed_jobs: 101, check_reason: null }]);
});

test("a list that ends after its first page once, with a matching count, is contradicted by the second reading", async () => {
  await using harness = await openRepository();
  const many = Array.from({ length: 101 }, (_, job) => ({ name: `job ${job}` }));
  harness.simulator.control.addRun({ repository, jobs: many, completedSecondsAgo: 600 });
  harness.simulator.control.addFault({ ...jobLists, lie: { kind: "short-list", keepFirst: 60 } });
  await harness.poll(harness.id, false);
  expect(await attempts(harness)).toMatchObject([{ state: "open", check_reason: "incomplete" }]);
  await makeDue(harness);
  await harness.poll(harness.id, false);
  expect(await attempts(harness)).toEqual([{ state: "listed", listed_jobs: 101, check_reason: null }]);
});

test.each(shortLists)(
  "a list %s for an hour, with a matching count, is contradicted by the list of the next day",
  async (_what, lie) => {
    await using harness = await openRepository();
    harness.simulator.control.addRun({ repository, jobs, completedSecondsAgo: 600 });
    harness.simulator.control.addFault({ ...jobLists, times: "forever", lie });
    await harness.poll(harness.id, false);
    expect(await attempts(harness)).toMatchObject([{ state: "listed" }]);
    expect(await countJobs(harness)).toBeLessThan(3);
    harness.simulator.control.clearFaults({});
    await harness.poll(harness.id, false);
    expect(await confirmation(harness)).toEqual({ is_due: true, hours: 24 });
    await makeConfirmationDue(harness);
    await harness.poll(harness.id, false);
    expect(await attempts(harness)).toEqual([{ state: "listed", listed_jobs: 3, check_reason: null }]);
    expect(await countJobs(harness)).toBe(3);
  },
);

test("a job that completes long after its run is found by the next day's list", async () => {
  await using harness = await openRepository();
  const { runId } = harness.simulator.control.addRun({ repository, jobs, state: "in_progress" });
  await harness.simulator.control.completeRun({ runId, jobs: [{ name: "lint", lagSeconds: 3_600 }] });
  await harness.poll(harness.id, false);
  await harness.query(
    "update archive.attempts set check_due_at = now(), same_reason_checks = 19, same_reason_since = now() - interval '25 hours'",
  );
  await harness.poll(harness.id, false);
  expect([await attempts(harness), await countJobs(harness)]).toMatchObject([[{ state: "listed" }], 2]);
  harness.simulator.clock.advance(3_700_000);
  await makeConfirmationDue(harness);
  await harness.poll(harness.id, false);
  expect([await attempts(harness), await countJobs(harness)]).toMatchObject([[{ state: "listed" }], 3]);
  expect(await harness.query("select from audit.gaps where kind = 'job_not_loaded' and reason = 'not_completed'")).toEqual([]);
});

test("an unchanged list is confirmed once and does not count against GitHub's limit", async () => {
  await using harness = await openRepository();
  harness.simulator.control.addRun({ repository, jobs, completedSecondsAgo: 600 });
  await harness.poll(harness.id, false);
  await makeConfirmationDue(harness);
  harness.simulator.journal.clear();
  for (let poll = 0; poll < 2; poll++) await harness.poll(harness.id, false);
  expect(listingStatuses(harness)).toEqual([304]);
  expect(await confirmation(harness)).toEqual({ is_due: false, hours: null });
  expect(await attempts(harness)).toEqual([{ state: "listed", listed_jobs: 3, check_reason: null }]);
});

test.each([404, 403, 410, 502] as const)(
  "a %s instead of the list decides nothing: the list is read again a day later, for a week",
  async (status) => {
    await using harness = await openRepository();
    harness.simulator.control.addRun({ repository, jobs, completedSecondsAgo: 600 });
    await harness.poll(harness.id, false);
    await makeConfirmationDue(harness);
    harness.simulator.control.addFault({ ...jobLists, times: "forever", lie: { kind: "error", status } });
    await harness.poll(harness.id, false);
    expect(await confirmation(harness)).toEqual({ is_due: true, hours: 24 });
    await harness.query("update archive.attempts set confirm_due_at = now(), listed_at = now() - interval '8 days'");
    await harness.poll(harness.id, false);
    expect(await confirmation(harness)).toEqual({ is_due: false, hours: null });
    expect(await attempts(harness)).toEqual([{ state: "listed", listed_jobs: 3, check_reason: null }]);
  },
);

test("confirmations wait while more than half of the credential's limit is used", async () => {
  await using harness = await openRepository();
  harness.simulator.control.addRun({ repository, jobs, completedSecondsAgo: 600 });
  await harness.poll(harness.id, false);
  await makeConfirmationDue(harness);
  await harness.query("update archive.credentials set used = limit_per_hour / 2 + 1");
  harness.simulator.journal.clear();
  await harness.poll(harness.id, false);
  expect(listingStatuses(harness)).toEqual([]);
  await harness.query("update archive.credentials set used = 1, reset_at = now() - interval '1 second'");
  await harness.poll(harness.id, false);
  expect(listingStatuses(harness)).toEqual([304]);
});
