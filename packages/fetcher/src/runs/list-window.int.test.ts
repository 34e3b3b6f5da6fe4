// More runs than GitHub lists at once: every one is found, and what could not be listed to its end is not called covered.

import { addWindow, listFullSeconds, listWindows, type Window } from "@actions-archive/database/ledger/windows";
import { Builder } from "@actions-archive/github-simulator/world/builder";
import { expect, test, vi } from "vitest";

import { type Bench, openBench } from "../../test-support/harness.ts";
import { recordIncompletePart } from "./cover-window.ts";
import { listWindow } from "./list-window.ts";

const start = Math.floor(Date.now() / 1000) * 1000 - 86_400_000;
const at = (seconds: number) => new Date(start + seconds * 1000);
const logSizes = { medianBytes: 100, tailShareOfLogs: 0, tailShareOfBytes: 0, capBytes: 1_000 };

/** A repository with so many runs at each of these seconds after `start`. */
async function openWorld(runsAtSecond: ReadonlyMap<number, number>): Promise<Bench & { readonly repository_id: number }> {
  const bench = await openBench({ rateLimits: { perHour: 100_000 } });
  const repository_id = await bench.addRepository("acme/app");
  const repository = bench.simulator.world.findRepositoryById(repository_id);
  if (repository === undefined) throw new Error("no repository");
  const builder = new Builder(bench.simulator.world, 1, logSizes);
  for (const [second, runs] of [...runsAtSecond].toSorted(([a], [b]) => a - b)) {
    for (let run = 0; run < runs; run++)
      builder.run({ repository, createdAtMs: at(second).getTime(), emptyConclusion: "startup_failure" });
  }
  return { ...bench, repository_id };
}

async function list(bench: Bench & { readonly repository_id: number }, from: number, to: number) {
  const { fetcher, repository_id } = bench;
  const repository = { repository_id, full_name: "acme/app" };
  const onListed = (window: Window) => addWindow(fetcher.db, repository_id, window);
  const onIncomplete = recordIncompletePart(fetcher, repository);
  await listWindow(
    { fetcher, repository, onListed, onIncomplete, signal: AbortSignal.timeout(25_000) },
    { start: at(from), end: at(to) },
  );
}

const countRuns = async ({ ask }: Bench) => Number((await ask("select count(*) from archive.runs"))[0]?.["count"]);

/** The `created` filters that were asked for, as seconds after `start`. */
function askedSpans({ asked }: Bench): [number, number][] {
  const spans = asked().flatMap((url) => {
    const [, from = "", to = ""] = /created=([^.&]+)\.\.([^&]+)/.exec(url) ?? [];
    return from === "" ? [] : [`${Date.parse(from) - start} ${Date.parse(to) - start}`];
  });
  return [...new Set(spans)].map((span) => span.split(" ").map((ms) => Number(ms) / 1000) as [number, number]);
}

test("a window with more runs than a list shows is walked by the oldest seen, newest first, until every run is found", async () => {
  await using bench = await openWorld(new Map(Array.from({ length: 120 }, (_, minute) => [minute * 30, 12])));
  await list(bench, 0, 3_600);
  expect(await countRuns(bench)).toBe(1_440);
  expect(await listWindows(bench.fetcher.db, bench.repository_id)).toEqual([{ start: at(0), end: at(3_600) }]);
  const spans = askedSpans(bench);
  expect(spans.every(([from]) => from === 0)).toBe(true);
  expect(spans.map(([, to]) => to)).toEqual(spans.map(([, to]) => to).toSorted((a, b) => b - a));
  // 1,440 runs in pages of 100, of which each repeats the second that the one before ended in.
  expect(spans.length).toBeLessThanOrEqual(17);
});

test("two crowded seconds side by side are taken apart, and both are covered", async () => {
  await using bench = await openWorld(
    new Map([
      [10, 600],
      [11, 999],
    ]),
  );
  await list(bench, 9, 12);
  expect(await countRuns(bench)).toBe(1_599);
  expect(await listWindows(bench.fetcher.db, bench.repository_id)).toEqual([{ start: at(9), end: at(12) }]);
  expect(await listFullSeconds(bench.fetcher.db)).toEqual([]);
});

test("a second as full as a list can be is a gap, and everything around it is covered", async () => {
  await using bench = await openWorld(
    new Map([
      [9, 2],
      [10, 1_001],
      [11, 5],
    ]),
  );
  await list(bench, 9, 12);
  expect(await countRuns(bench)).toBe(1_007);
  expect(await listWindows(bench.fetcher.db, bench.repository_id)).toEqual([
    { start: at(9), end: at(10) },
    { start: at(11), end: at(12) },
  ]);
  expect(await listFullSeconds(bench.fetcher.db)).toEqual([{ repository_id: bench.repository_id, second_start: at(10) }]);
});

test("a second of exactly 1,000 runs is full, also when one of them is deleted while it is read", async () => {
  await using bench = await openWorld(new Map([[10, 1_000]]));
  const newest = Math.max(...bench.simulator.world.runs.keys());
  const { journal } = bench.simulator;
  const listed = () => journal.next({ origin: "api", url: "created=" });
  const marked = listed()
    .then(listed)
    .then(() => bench.simulator.control.deleteRun({ runId: newest, oncePaged: true }));
  await list(bench, 9, 12);
  await marked;
  expect(await listFullSeconds(bench.fetcher.db)).toEqual([{ repository_id: bench.repository_id, second_start: at(10) }]);
});

test("a run that turns up while the list is walked hides no other", async () => {
  await using bench = await openWorld(new Map(Array.from({ length: 110 }, (_, second) => [second, 10])));
  bench.simulator.faults.add({ path: "*/actions/runs", delayMs: 300 });
  const listing = list(bench, 0, 200);
  await vi.waitFor(() => expect(bench.asked()).toHaveLength(1));
  const repository = bench.simulator.world.findRepositoryById(bench.repository_id);
  if (repository === undefined) throw new Error("no repository");
  new Builder(bench.simulator.world, 1, logSizes).run({
    repository,
    createdAtMs: at(150).getTime(),
    emptyConclusion: "startup_failure",
  });
  await listing;
  expect(await countRuns(bench)).toBeGreaterThanOrEqual(1_100);
});

test("a border inside of a second is listed from that second on", async () => {
  await using bench = await openWorld(
    new Map([
      [9, 1],
      [10, 1],
      [20, 1],
      [21, 1],
    ]),
  );
  const window = { start: new Date(at(10).getTime() + 700), end: new Date(at(20).getTime() + 300) };
  const onListed = vi.fn<() => Promise<void>>(async () => undefined);
  const repository = { repository_id: bench.repository_id, full_name: "acme/app" };
  const onIncomplete = recordIncompletePart(bench.fetcher, repository);
  await listWindow({ fetcher: bench.fetcher, repository, onListed, onIncomplete, signal: AbortSignal.timeout(5_000) }, window);
  expect(await countRuns(bench)).toBe(2);
  expect(askedSpans(bench)).toEqual([[10, 20]]);
  expect(onListed.mock.calls).toEqual([[window, 0]]);
});
