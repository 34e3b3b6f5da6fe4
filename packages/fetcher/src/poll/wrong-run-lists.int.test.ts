// Wrong run lists, once or permanently: a list with fewer runs than GitHub counts is read again, and a span is covered only by
// runs that were shown.

import { hourSeconds } from "@actions-archive/core/durations";
import { recordIncompleteWindow } from "@actions-archive/database/ledger/window-checks";
import { listWindows } from "@actions-archive/database/ledger/windows";
import type { FaultInput } from "@actions-archive/github-simulator/http/faults";
import { oddRunFields } from "@actions-archive/github-simulator/http/lies";
import { expect, test } from "vitest";

import { type Harness, openHarness } from "../../test-support/harness.ts";

const repository = "acme/app";
const firstPage = { path: "*/actions/runs" };

type RepositoryHarness = Harness & { readonly id: number };

/** A repository with a run without jobs in each of the last `count` hours. */
async function openHourly(count: number): Promise<RepositoryHarness> {
  const harness = await openHarness({ rateLimits: { perHour: 100_000 } });
  const id = await harness.addRepository(repository);
  for (let hour = 1; hour <= count; hour++) addHourly(harness, hour);
  return { ...harness, id };
}

function addHourly({ simulator }: Harness, hoursAgo: number): number {
  return simulator.control.addRun({ repository, jobs: [{ name: "a" }], completedSecondsAgo: hoursAgo * hourSeconds }).runId;
}

const countRuns = async ({ query }: Harness) => Number((await query("select count(*) from archive.runs"))[0]?.["count"]);
const uncovered = ({ query }: Harness) =>
  query("select kind, reason from audit.gaps where kind in ('window_open', 'list_incomplete')");
const makeDue = ({ query }: Harness) =>
  query("with a as (update archive.attempts set check_due_at = now()) update archive.window_checks set due_at = now()");

const onceWrong: readonly [string, FaultInput["lie"]][] = [
  ["empty", { kind: "empty-list", totalCount: "kept" }],
  ["empty with a count of 0", { kind: "empty-list" }],
  ["cut short", { kind: "short-list", removeLast: 2, totalCount: "kept" }],
  ["one item late", { kind: "shifted-list", totalCount: "kept" }],
  ["with a repeated item in place of another", { kind: "duplicate-item", item: 0, inPlaceOf: 1, totalCount: "kept" }],
];

test.each(onceWrong)("a first page that is %s once is read again, and hides no run", async (_what, lie) => {
  await using harness = await openHourly(5);
  harness.simulator.control.addFault({ ...firstPage, lie });
  await harness.poll(harness.id, false);
  harness.simulator.control.assertFaultsHit({});
  expect(await countRuns(harness)).toBe(5);
  expect(await uncovered(harness)).toEqual([]);
});

test.each(onceWrong)("a filtered page that is %s once is read again, and hides no run", async (_what, lie) => {
  await using harness = await openHourly(130);
  // The first request with a filter of the scan: the newest runs.
  harness.simulator.control.addFault({ ...firstPage, skip: 1, lie });
  await harness.poll(harness.id);
  harness.simulator.control.assertFaultsHit({});
  expect(await countRuns(harness)).toBe(130);
  expect(await uncovered(harness)).toEqual([]);
});

test("a last page truncated once with a matching count is read again, since the preceding page counted more runs", async () => {
  await using harness = await openHourly(130);
  // The first page, the newest runs with a filter, and the rest.
  harness.simulator.control.addFault({ ...firstPage, skip: 2, lie: { kind: "short-list", removeLast: 1, totalCount: "shown" } });
  await harness.poll(harness.id);
  harness.simulator.control.assertFaultsHit({});
  expect(await countRuns(harness)).toBe(130);
  expect(await uncovered(harness)).toEqual([]);
});

test("lists whose Link header a proxy strips are read to their end", async () => {
  await using harness = await openHourly(230);
  harness.simulator.control.addFault({ times: "forever", lie: { kind: "no-link" } });
  await harness.poll(harness.id, false);
  expect(await countRuns(harness)).toBe(230);
  expect(await uncovered(harness)).toEqual([]);
});

test("a span that stays incomplete is uncovered, becomes a gap of its own after several attempts, and recovers", async () => {
  await using harness = await openHourly(3);
  harness.simulator.control.addFault({
    ...firstPage,
    times: "forever",
    lie: { kind: "short-list", removeLast: 1, totalCount: "kept" },
  });
  await harness.poll(harness.id, false);
  expect(await uncovered(harness)).toContainEqual({ kind: "window_open", reason: "incomplete" });
  expect(await harness.query("select from audit.coverage")).toEqual([]);
  for (let poll = 0; poll < 4; poll++) {
    await makeDue(harness);
    await harness.poll(harness.id, false);
  }
  expect(await harness.query("select kind, reason, detail from audit.gaps where kind = 'list_incomplete'")).toEqual([
    { kind: "list_incomplete", reason: "incomplete", detail: "GitHub promised 3 runs and showed 2, 5 times" },
  ]);
  // It is no longer listed by every poll.
  await harness.poll(harness.id, false);
  expect(await harness.query("select tries from archive.window_checks")).toEqual([{ tries: 5 }]);
  harness.simulator.control.clearFaults({});
  await makeDue(harness);
  await harness.poll(harness.id, false);
  expect(await countRuns(harness)).toBe(3);
  expect(await uncovered(harness)).toEqual([]);
  expect(await harness.query("select from archive.window_checks where reason = 'incomplete'")).toEqual([]);
});

test("a covered span that a re-run scan finds incomplete is open until it is listed completely", async () => {
  await using harness = await openHourly(3);
  await harness.poll(harness.id);
  expect(await uncovered(harness)).toEqual([]);
  harness.simulator.control.addFault({
    path: "*/actions/runs",
    times: "forever",
    lie: { kind: "total-count", by: 1 },
  });
  await harness.poll(harness.id);
  expect(await uncovered(harness)).toMatchObject([{ reason: "incomplete" }]);
  harness.simulator.control.clearFaults({});
  await harness.poll(harness.id);
  expect(await uncovered(harness)).toEqual([]);
});

test("an incomplete span is closed only by its own list, not by an unchanged first page", async () => {
  await using harness = await openHourly(3);
  await harness.poll(harness.id);
  const [window] = await listWindows(harness.fetcher.db, harness.id);
  const span = { start: new Date(Date.now() - 2 * hourSeconds * 1000), end: window?.end ?? new Date() };
  await recordIncompleteWindow(harness.fetcher.db, harness.id, span, { promised: 2, shown: 1 });
  expect(await uncovered(harness)).toContainEqual({ kind: "window_open", reason: "incomplete" });
  harness.simulator.control.clearJournal({});
  await harness.query("update archive.window_checks set due_at = now() where reason = 'incomplete'");
  await harness.poll(harness.id, false);
  expect(harness.simulator.journal.entries({ origin: "api" })[0]?.status).toBe(304);
  expect(harness.requests().filter((url) => url.includes("created="))).not.toEqual([]);
  expect(await uncovered(harness)).toEqual([]);
});

test("history that was listed incompletely with a matching count is listed a second time a day later", async () => {
  await using harness = await openHourly(0);
  for (const days of [40, 50, 60]) addHourly(harness, days * 24);
  // So many that the first page does not include the others.
  const createdAt = new Date(Math.floor(Date.now() / 1000 - 86_400) * 1000).toISOString();
  harness.simulator.control.addRuns({ repository, count: 105, jobs: [], createdAt });
  harness.simulator.control.addFault({ ...firstPage, times: "forever", lie: { kind: "empty-list" } });
  await harness.poll(harness.id, false);
  harness.simulator.control.clearFaults({});
  await harness.poll(harness.id, false);
  expect(await countRuns(harness)).toBe(100);
  await harness.query("update archive.window_checks set due_at = now()");
  await harness.poll(harness.id, false);
  expect(await harness.query("select from archive.runs where created_at < now() - interval '30 days'")).toHaveLength(3);
  expect(await harness.query("select from archive.window_checks")).toEqual([]);
});

test.each(Object.entries(oddRunFields).filter(([name]) => !/^(updated_at|status|event|repository)/.test(name)))(
  "a run with its %s is a gap with the object, and the rest of its page is archived",
  async (_name, patch) => {
    await using harness = await openHourly(3);
    harness.simulator.control.addFault({ ...firstPage, times: "forever", lie: { kind: "odd-object", index: 1, patch } });
    await harness.poll(harness.id);
    expect(await countRuns(harness)).toBe(2);
    const [gap] = await harness.query("select kind, reason, detail from audit.gaps where kind = 'object_unusable'");
    expect(gap).toMatchObject({ reason: "run", detail: expect.stringContaining(JSON.stringify(Object.values(patch)[0])) });
    const days = await harness.query("select complete from audit.coverage where window_end > now() - interval '2 days'");
    expect(days.filter(({ complete }) => complete === false)).toHaveLength(1);
    harness.simulator.control.clearFaults({});
    await makeDue(harness);
    await harness.poll(harness.id, false);
    expect(await countRuns(harness)).toBe(3);
    await makeDue(harness);
    await harness.poll(harness.id, false);
    expect(await harness.query("select kind from audit.gaps where kind = 'object_unusable'")).toEqual([]);
  },
);

test("a run whose created_at has another format makes the day of its start incomplete", async () => {
  await using harness = await openHourly(60);
  const created_at = new Date().toISOString().slice(0, 10).replaceAll("-", "/");
  const lie = { kind: "odd-object", index: 59, patch: { created_at } } as const;
  harness.simulator.control.addFault({ ...firstPage, times: "forever", lie });
  await harness.poll(harness.id);
  const [gap] = await harness.query(
    "select window_start < now() - interval '55 hours' as is_old from audit.gaps where kind = 'object_unusable'",
  );
  expect(gap).toEqual({ is_old: true });
});

test("a run object that is unusable once is read again and is no gap", async () => {
  await using harness = await openHourly(3);
  harness.simulator.control.addFault({ ...firstPage, lie: { kind: "odd-object", index: 1, patch: { run_attempt: 1_001 } } });
  await harness.poll(harness.id, false);
  harness.simulator.control.assertFaultsHit({});
  expect(await countRuns(harness)).toBe(3);
  expect(await harness.query("select kind from audit.gaps where kind = 'object_unusable'")).toEqual([]);
});

test("an attempt that only a wrong object claims is removed once the run itself contradicts it", async () => {
  await using harness = await openHourly(1);
  harness.simulator.control.addFault({ ...firstPage, lie: { kind: "odd-object", patch: { run_attempt: 3 } } });
  await harness.poll(harness.id, false);
  await makeDue(harness);
  await harness.poll(harness.id, false);
  expect(await harness.query("select run_attempt, state from archive.attempts")).toEqual([{ run_attempt: 1, state: "listed" }]);
  expect(await harness.query("select run_attempt from archive.runs")).toEqual([{ run_attempt: 1 }]);
});

test("a run that claims to belong to another repository does not stop the listing of its page", async () => {
  await using harness = await openHourly(3);
  harness.simulator.control.addFault({
    ...firstPage,
    times: "forever",
    lie: { kind: "odd-object", patch: { repository: { id: 5 } } },
  });
  await harness.poll(harness.id);
  expect(await countRuns(harness)).toBe(2);
  expect(await harness.query("select reason from audit.gaps where kind = 'object_unusable'")).toEqual([{ reason: "run" }]);
});

test("a run listed out of order is found, though the next page's filter omits it", async () => {
  await using harness = await openHourly(0);
  const { addRuns, addRun } = harness.simulator.control;
  const second = (minutesAgo: number) => new Date(Math.floor(Date.now() / 1000 - minutesAgo * 60) * 1000).toISOString();
  for (let minute = 10; minute < 130; minute++) addRuns({ repository, count: 1, jobs: [], createdAt: second(minute) });
  // Newer than the oldest run of the first page, and listed on the second.
  addRun({ repository, jobs: [], createdAt: second(20), listedAs: second(125) });
  await harness.poll(harness.id);
  expect(await countRuns(harness)).toBe(121);
  expect(await uncovered(harness)).toEqual([]);
});

test("a run deleted between two pages of a full second hides no other", async () => {
  await using harness = await openHourly(0);
  const createdAt = new Date(Math.floor(Date.now() / 1000 - 86_400) * 1000).toISOString();
  const runs = harness.simulator.control.addRuns({ repository, count: 150, jobs: [], createdAt });
  const newest = runs.toSorted((a, b) => b.runId - a.runId)[0]?.runId ?? 0;
  // Deleted between the pages of the second itself, once the second is known to be full.
  const { journal } = harness.simulator;
  const listed = () => journal.next({ origin: "api", url: "created=" });
  const marked = listed()
    .then(listed)
    .then(() => harness.simulator.control.deleteRun({ runId: newest, oncePaged: true }));
  await harness.poll(harness.id, false);
  await marked;
  expect(await countRuns(harness)).toBe(150);
  // The first page showed the deleted run: since no later answer shows it, the second is read once more.
  await makeDue(harness);
  await harness.poll(harness.id, false);
  expect(await uncovered(harness)).toEqual([]);
});
