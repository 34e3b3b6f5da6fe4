// GitHub answers for run lists that are wrong once, or stay wrong: what a list promised and did not show is read again, and nothing
// that was not shown is called covered.

import { hourSeconds } from "@actions-archive/core/durations";
import { recordIncompleteWindow } from "@actions-archive/database/ledger/window-checks";
import { listWindows } from "@actions-archive/database/ledger/windows";
import type { FaultInput } from "@actions-archive/github-simulator/http/faults";
import { oddRunFields } from "@actions-archive/github-simulator/http/lies";
import { expect, test } from "vitest";

import { type Bench, openBench } from "../../test-support/harness.ts";

const repository = "acme/app";
const firstPage = { path: "*/actions/runs" };

type RepositoryBench = Bench & { readonly id: number };

/** A repository with a run without jobs in each of the last `count` hours. */
async function openHourly(count: number): Promise<RepositoryBench> {
  const bench = await openBench({ rateLimits: { perHour: 100_000 } });
  const id = await bench.addRepository(repository);
  for (let hour = 1; hour <= count; hour++) addHourly(bench, hour);
  return { ...bench, id };
}

function addHourly({ simulator }: Bench, hoursAgo: number): number {
  return simulator.control.addRun({ repository, jobs: [{ name: "a" }], completedSecondsAgo: hoursAgo * hourSeconds }).runId;
}

const countRuns = async ({ ask }: Bench) => Number((await ask("select count(*) from archive.runs"))[0]?.["count"]);
const uncovered = ({ ask }: Bench) => ask("select kind, reason from audit.gaps where kind in ('window_open', 'list_incomplete')");
const makeDue = ({ ask }: Bench) =>
  ask("with a as (update archive.attempts set visit_due_at = now()) update archive.window_checks set due_at = now()");

const onceWrong: readonly [string, FaultInput["lie"]][] = [
  ["empty", { kind: "empty-list", totalCount: "kept" }],
  ["empty, and says so", { kind: "empty-list" }],
  ["cut short", { kind: "short-list", removeLast: 2, totalCount: "kept" }],
  ["one item late", { kind: "shifted-list", totalCount: "kept" }],
  ["with an item twice in the place of another", { kind: "duplicate-item", item: 0, inPlaceOf: 1, totalCount: "kept" }],
];

test.each(onceWrong)("a first page that is %s once is read again, and hides no run", async (_what, lie) => {
  await using bench = await openHourly(5);
  bench.simulator.control.addFault({ ...firstPage, lie });
  await bench.poll(bench.id, false);
  bench.simulator.control.assertFaultsHit({});
  expect(await countRuns(bench)).toBe(5);
  expect(await uncovered(bench)).toEqual([]);
});

test.each(onceWrong)("a filtered page that is %s once is read again, and hides no run", async (_what, lie) => {
  await using bench = await openHourly(130);
  // The first request with a filter of the scan: the newest runs.
  bench.simulator.control.addFault({ ...firstPage, skip: 1, lie });
  await bench.poll(bench.id);
  bench.simulator.control.assertFaultsHit({});
  expect(await countRuns(bench)).toBe(130);
  expect(await uncovered(bench)).toEqual([]);
});

test("a last page that is cut short once, and counts short, is read again: the page before it left more runs", async () => {
  await using bench = await openHourly(130);
  // The first page, the newest runs with a filter, and the rest.
  bench.simulator.control.addFault({ ...firstPage, skip: 2, lie: { kind: "short-list", removeLast: 1, totalCount: "shown" } });
  await bench.poll(bench.id);
  bench.simulator.control.assertFaultsHit({});
  expect(await countRuns(bench)).toBe(130);
  expect(await uncovered(bench)).toEqual([]);
});

test("lists whose Link header a proxy strips are read to their end", async () => {
  await using bench = await openHourly(230);
  bench.simulator.control.addFault({ times: "forever", lie: { kind: "no-link" } });
  await bench.poll(bench.id, false);
  expect(await countRuns(bench)).toBe(230);
  expect(await uncovered(bench)).toEqual([]);
});

test("a span that stays short is uncovered, a gap of its own after several tries, and heals by itself", async () => {
  await using bench = await openHourly(3);
  bench.simulator.control.addFault({
    ...firstPage,
    times: "forever",
    lie: { kind: "short-list", removeLast: 1, totalCount: "kept" },
  });
  await bench.poll(bench.id, false);
  expect(await uncovered(bench)).toContainEqual({ kind: "window_open", reason: "incomplete" });
  expect(await bench.ask("select from audit.coverage")).toEqual([]);
  for (let poll = 0; poll < 4; poll++) {
    await makeDue(bench);
    await bench.poll(bench.id, false);
  }
  expect(await bench.ask("select kind, reason, detail from audit.gaps where kind = 'list_incomplete'")).toEqual([
    { kind: "list_incomplete", reason: "incomplete", detail: "GitHub promised 3 runs and showed 2, 5 times" },
  ]);
  // It is not listed at every poll any more.
  await bench.poll(bench.id, false);
  expect(await bench.ask("select tries from archive.window_checks")).toEqual([{ tries: 5 }]);
  bench.simulator.control.clearFaults({});
  await makeDue(bench);
  await bench.poll(bench.id, false);
  expect(await countRuns(bench)).toBe(3);
  expect(await uncovered(bench)).toEqual([]);
  expect(await bench.ask("select from archive.window_checks where reason = 'incomplete'")).toEqual([]);
});

test("a covered span that a scan for re-runs shows short is open until it is shown whole", async () => {
  await using bench = await openHourly(3);
  await bench.poll(bench.id);
  expect(await uncovered(bench)).toEqual([]);
  bench.simulator.control.addFault({
    path: "*/actions/runs",
    times: "forever",
    lie: { kind: "total-count", by: 1 },
  });
  await bench.poll(bench.id);
  expect(await uncovered(bench)).toMatchObject([{ reason: "incomplete" }]);
  bench.simulator.control.clearFaults({});
  await bench.poll(bench.id);
  expect(await uncovered(bench)).toEqual([]);
});

test("a span that fell short is closed by a list of its own, and by no first page that has not changed", async () => {
  await using bench = await openHourly(3);
  await bench.poll(bench.id);
  const [window] = await listWindows(bench.fetcher.db, bench.id);
  const span = { start: new Date(Date.now() - 2 * hourSeconds * 1000), end: window?.end ?? new Date() };
  await recordIncompleteWindow(bench.fetcher.db, bench.id, span, { promised: 2, shown: 1 });
  expect(await uncovered(bench)).toContainEqual({ kind: "window_open", reason: "incomplete" });
  bench.simulator.control.clearJournal({});
  await bench.ask("update archive.window_checks set due_at = now() where reason = 'incomplete'");
  await bench.poll(bench.id, false);
  expect(bench.simulator.journal.entries({ origin: "api" })[0]?.status).toBe(304);
  expect(bench.asked().filter((url) => url.includes("created="))).not.toEqual([]);
  expect(await uncovered(bench)).toEqual([]);
});

test("history that lists showed short, and counted short, is listed a second time a day later", async () => {
  await using bench = await openHourly(0);
  for (const days of [40, 50, 60]) addHourly(bench, days * 24);
  // So many that the first page does not reach the others.
  const createdAt = new Date(Math.floor(Date.now() / 1000 - 86_400) * 1000).toISOString();
  bench.simulator.control.addRuns({ repository, count: 105, jobs: [], createdAt });
  bench.simulator.control.addFault({ ...firstPage, times: "forever", lie: { kind: "empty-list" } });
  await bench.poll(bench.id, false);
  bench.simulator.control.clearFaults({});
  await bench.poll(bench.id, false);
  expect(await countRuns(bench)).toBe(100);
  await bench.ask("update archive.window_checks set due_at = now()");
  await bench.poll(bench.id, false);
  expect(await bench.ask("select from archive.runs where created_at < now() - interval '30 days'")).toHaveLength(3);
  expect(await bench.ask("select from archive.window_checks")).toEqual([]);
});

test.each(Object.entries(oddRunFields).filter(([name]) => !/^(updated_at|status|event|repository)/.test(name)))(
  "a run with its %s is a gap with the object, and the rest of its page is archived",
  async (_name, patch) => {
    await using bench = await openHourly(3);
    bench.simulator.control.addFault({ ...firstPage, times: "forever", lie: { kind: "odd-object", index: 1, patch } });
    await bench.poll(bench.id);
    expect(await countRuns(bench)).toBe(2);
    const [gap] = await bench.ask("select kind, reason, detail from audit.gaps where kind = 'object_unusable'");
    expect(gap).toMatchObject({ reason: "run", detail: expect.stringContaining(JSON.stringify(Object.values(patch)[0])) });
    const days = await bench.ask("select complete from audit.coverage where window_end > now() - interval '2 days'");
    expect(days.filter(({ complete }) => complete === false)).toHaveLength(1);
    bench.simulator.control.clearFaults({});
    await makeDue(bench);
    await bench.poll(bench.id, false);
    expect(await countRuns(bench)).toBe(3);
    await makeDue(bench);
    await bench.poll(bench.id, false);
    expect(await bench.ask("select kind from audit.gaps where kind = 'object_unusable'")).toEqual([]);
  },
);

test("a run whose created_at is today in another form makes the day incomplete on which it started", async () => {
  await using bench = await openHourly(60);
  const created_at = new Date().toISOString().slice(0, 10).replaceAll("-", "/");
  const lie = { kind: "odd-object", index: 59, patch: { created_at } } as const;
  bench.simulator.control.addFault({ ...firstPage, times: "forever", lie });
  await bench.poll(bench.id);
  const [gap] = await bench.ask(
    "select window_start < now() - interval '55 hours' as is_old from audit.gaps where kind = 'object_unusable'",
  );
  expect(gap).toEqual({ is_old: true });
});

test("a run that is odd once is read again, and is no gap", async () => {
  await using bench = await openHourly(3);
  bench.simulator.control.addFault({ ...firstPage, lie: { kind: "odd-object", index: 1, patch: { run_attempt: 1_001 } } });
  await bench.poll(bench.id, false);
  bench.simulator.control.assertFaultsHit({});
  expect(await countRuns(bench)).toBe(3);
  expect(await bench.ask("select kind from audit.gaps where kind = 'object_unusable'")).toEqual([]);
});

test("an attempt that only one wrong object claims is forgotten once the run itself denies it", async () => {
  await using bench = await openHourly(1);
  bench.simulator.control.addFault({ ...firstPage, lie: { kind: "odd-object", patch: { run_attempt: 3 } } });
  await bench.poll(bench.id, false);
  await makeDue(bench);
  await bench.poll(bench.id, false);
  expect(await bench.ask("select run_attempt, state from archive.attempts")).toEqual([{ run_attempt: 1, state: "listed" }]);
  expect(await bench.ask("select run_attempt from archive.runs")).toEqual([{ run_attempt: 1 }]);
});

test("one run that claims to be another repository's does not stop the listing of its page", async () => {
  await using bench = await openHourly(3);
  bench.simulator.control.addFault({
    ...firstPage,
    times: "forever",
    lie: { kind: "odd-object", patch: { repository: { id: 5 } } },
  });
  await bench.poll(bench.id);
  expect(await countRuns(bench)).toBe(2);
  expect(await bench.ask("select reason from audit.gaps where kind = 'object_unusable'")).toEqual([{ reason: "run" }]);
});

test("a run that the pages list out of its time is found, though the next page's filter leaves it out", async () => {
  await using bench = await openHourly(0);
  const { addRuns, addRun } = bench.simulator.control;
  const second = (minutesAgo: number) => new Date(Math.floor(Date.now() / 1000 - minutesAgo * 60) * 1000).toISOString();
  for (let minute = 10; minute < 130; minute++) addRuns({ repository, count: 1, jobs: [], createdAt: second(minute) });
  // Newer than the oldest run of the first page, and listed as one of the second.
  addRun({ repository, jobs: [], createdAt: second(20), listedAs: second(125) });
  await bench.poll(bench.id);
  expect(await countRuns(bench)).toBe(121);
  expect(await uncovered(bench)).toEqual([]);
});

test("a run that is deleted between two pages of a crowded second hides no other", async () => {
  await using bench = await openHourly(0);
  const createdAt = new Date(Math.floor(Date.now() / 1000 - 86_400) * 1000).toISOString();
  const runs = bench.simulator.control.addRuns({ repository, count: 150, jobs: [], createdAt });
  const newest = runs.toSorted((a, b) => b.runId - a.runId)[0]?.runId ?? 0;
  // When the second is known to be crowded: it is deleted between the pages of the second itself.
  const { journal } = bench.simulator;
  const listed = () => journal.next({ origin: "api", url: "created=" });
  const marked = listed()
    .then(listed)
    .then(() => bench.simulator.control.deleteRun({ runId: newest, oncePaged: true }));
  await bench.poll(bench.id, false);
  await marked;
  expect(await countRuns(bench)).toBe(150);
  // The first page had shown the run that is gone: what no later answer shows is read once more.
  await makeDue(bench);
  await bench.poll(bench.id, false);
  expect(await uncovered(bench)).toEqual([]);
});
