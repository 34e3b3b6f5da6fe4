// Spans with more runs than one list shows: every run is found, and an incompletely listed part is not covered.

import { addWindow, listFullSeconds, listWindows, type Window } from "@actions-archive/database/ledger/windows";
import { Builder } from "@actions-archive/github-simulator/world/builder";
import { expect, test, vi } from "vitest";

import { type Harness, openHarness } from "../../test-support/harness.ts";
import { recordIncompletePart } from "./cover-window.ts";
import { listWindow } from "./list-window.ts";

const start = Math.floor(Date.now() / 1000) * 1000 - 86_400_000;
const at = (seconds: number) => new Date(start + seconds * 1000);
const logSizes = { medianBytes: 100, tailShareOfLogs: 0, tailShareOfBytes: 0, capBytes: 1_000 };

/** A repository with the given number of runs at each of these seconds after `start`. */
async function openWorld(runsAtSecond: ReadonlyMap<number, number>): Promise<Harness & { readonly repository_id: number }> {
  const harness = await openHarness({ rateLimits: { perHour: 100_000 } });
  const repository_id = await harness.addRepository("acme/app");
  const repository = harness.simulator.world.findRepositoryById(repository_id);
  if (repository === undefined) throw new Error("no repository");
  const builder = new Builder(harness.simulator.world, 1, logSizes);
  for (const [second, runs] of [...runsAtSecond].toSorted(([a], [b]) => a - b)) {
    for (let run = 0; run < runs; run++)
      builder.run({ repository, createdAtMs: at(second).getTime(), emptyConclusion: "startup_failure" });
  }
  return { ...harness, repository_id };
}

async function list(harness: Harness & { readonly repository_id: number }, from: number, to: number) {
  const { fetcher, repository_id } = harness;
  const repository = { repository_id, full_name: "acme/app" };
  const onListed = (window: Window) => addWindow(fetcher.db, repository_id, window);
  const onIncomplete = recordIncompletePart(fetcher, repository);
  await listWindow(
    { fetcher, repository, onListed, onIncomplete, signal: AbortSignal.timeout(25_000) },
    { start: at(from), end: at(to) },
  );
}

const countRuns = async ({ query }: Harness) => Number((await query("select count(*) from archive.runs"))[0]?.["count"]);

/** The requested `created` filters, in seconds after `start`. */
function requestedSpans({ requests }: Harness): [number, number][] {
  const spans = requests().flatMap((url) => {
    const [, from = "", to = ""] = /created=([^.&]+)\.\.([^&]+)/.exec(url) ?? [];
    return from === "" ? [] : [`${Date.parse(from) - start} ${Date.parse(to) - start}`];
  });
  return [...new Set(spans)].map((span) => span.split(" ").map((ms) => Number(ms) / 1000) as [number, number]);
}

test("a window with more runs than a list shows is paged by the oldest run seen until every run is found", async () => {
  await using harness = await openWorld(new Map(Array.from({ length: 120 }, (_, minute) => [minute * 30, 12])));
  await list(harness, 0, 3_600);
  expect(await countRuns(harness)).toBe(1_440);
  expect(await listWindows(harness.fetcher.db, harness.repository_id)).toEqual([{ start: at(0), end: at(3_600) }]);
  const spans = requestedSpans(harness);
  expect(spans.every(([from]) => from === 0)).toBe(true);
  expect(spans.map(([, to]) => to)).toEqual(spans.map(([, to]) => to).toSorted((a, b) => b - a));
  // 1,440 runs in pages of 100; each page repeats the oldest second of the preceding one.
  expect(spans.length).toBeLessThanOrEqual(17);
});

test("two adjacent full seconds are listed separately, and both are covered", async () => {
  await using harness = await openWorld(
    new Map([
      [10, 600],
      [11, 999],
    ]),
  );
  await list(harness, 9, 12);
  expect(await countRuns(harness)).toBe(1_599);
  expect(await listWindows(harness.fetcher.db, harness.repository_id)).toEqual([{ start: at(9), end: at(12) }]);
  expect(await listFullSeconds(harness.fetcher.db)).toEqual([]);
});

test("a second that reaches the list cap is a gap, and everything around it is covered", async () => {
  await using harness = await openWorld(
    new Map([
      [9, 2],
      [10, 1_001],
      [11, 5],
    ]),
  );
  await list(harness, 9, 12);
  expect(await countRuns(harness)).toBe(1_007);
  expect(await listWindows(harness.fetcher.db, harness.repository_id)).toEqual([
    { start: at(9), end: at(10) },
    { start: at(11), end: at(12) },
  ]);
  expect(await listFullSeconds(harness.fetcher.db)).toEqual([{ repository_id: harness.repository_id, second_start: at(10) }]);
});

test("a second of exactly 1,000 runs is full, even when one is deleted while it is read", async () => {
  await using harness = await openWorld(new Map([[10, 1_000]]));
  const newest = Math.max(...harness.simulator.world.runs.keys());
  const { journal } = harness.simulator;
  const listed = () => journal.next({ origin: "api", url: "created=" });
  const marked = listed()
    .then(listed)
    .then(() => harness.simulator.control.deleteRun({ runId: newest, oncePaged: true }));
  await list(harness, 9, 12);
  await marked;
  expect(await listFullSeconds(harness.fetcher.db)).toEqual([{ repository_id: harness.repository_id, second_start: at(10) }]);
});

test("a run created while the list is paged hides no other", async () => {
  await using harness = await openWorld(new Map(Array.from({ length: 110 }, (_, second) => [second, 10])));
  harness.simulator.faults.add({ path: "*/actions/runs", delayMs: 300 });
  const listing = list(harness, 0, 200);
  await vi.waitFor(() => expect(harness.requests()).toHaveLength(1));
  const repository = harness.simulator.world.findRepositoryById(harness.repository_id);
  if (repository === undefined) throw new Error("no repository");
  new Builder(harness.simulator.world, 1, logSizes).run({
    repository,
    createdAtMs: at(150).getTime(),
    emptyConclusion: "startup_failure",
  });
  await listing;
  expect(await countRuns(harness)).toBeGreaterThanOrEqual(1_100);
});

test("a bound within a second is listed from that second on", async () => {
  await using harness = await openWorld(
    new Map([
      [9, 1],
      [10, 1],
      [20, 1],
      [21, 1],
    ]),
  );
  const window = { start: new Date(at(10).getTime() + 700), end: new Date(at(20).getTime() + 300) };
  const onListed = vi.fn<() => Promise<void>>(async () => undefined);
  const repository = { repository_id: harness.repository_id, full_name: "acme/app" };
  const onIncomplete = recordIncompletePart(harness.fetcher, repository);
  await listWindow({ fetcher: harness.fetcher, repository, onListed, onIncomplete, signal: AbortSignal.timeout(5_000) }, window);
  expect(await countRuns(harness)).toBe(2);
  expect(requestedSpans(harness)).toEqual([[10, 20]]);
  expect(onListed.mock.calls).toEqual([[window, 0]]);
});
