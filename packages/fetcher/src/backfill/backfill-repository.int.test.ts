// A backfill, slice by slice: what was listed is not listed again, what expires first is visited first, and neither a pause, nor a
// limit, nor a lost process costs more than time.

import { daySeconds } from "@actions-archive/core/durations";
import { RateLimitedError } from "@actions-archive/core/errors";
import { createBackfill, listDueBackfills, steerBackfill, takeBackfill } from "@actions-archive/database/backfill/backfills";
import { expect, test } from "vitest";

import { type Bench, openBench } from "../../test-support/harness.ts";
import { backfillRepository, type SliceOptions } from "./backfill-repository.ts";

const repository = "acme/app";

type BackfillBench = Bench & {
  readonly ref: { readonly backfill_id: number; readonly repository_id: number };
  readonly slice: (options?: Partial<SliceOptions>) => ReturnType<typeof backfillRepository>;
};

/** A backfill of the last 30 days of a repository that nobody polls, with a run of two jobs a day for `days`. */
async function openBackfill(days: number): Promise<BackfillBench> {
  const bench = await openBench({ retentionDays: 90, rateLimits: { perHour: 1_000_000 } });
  const { id: repository_id } = bench.simulator.control.addRepository({ repository });
  for (let day = 1; day <= days; day++)
    bench.simulator.control.addRun({ repository, jobs: [{ name: "a" }, { name: "b" }], completedSecondsAgo: day * daySeconds });
  const now = Date.now();
  const backfill_id = await createBackfill(bench.fetcher.db, {
    askedFor: [repository],
    since: new Date(now - 30 * daySeconds * 1000),
    until: new Date(now - 120_000),
    repositories: [{ repository_id, full_name: repository, is_private: false, estimated_runs: days }],
  });
  const ref = { backfill_id, repository_id };
  const slice = (options: Partial<SliceOptions> = {}) =>
    backfillRepository(bench.fetcher, ref, { signal: AbortSignal.timeout(20_000), ...options });
  return { ...bench, ref, slice };
}

const stateOf = ({ ask }: Bench) =>
  ask(`select state, done_at is not null as done, listed_from = since as listed, problem, lease_holder
    from archive.backfills join archive.backfill_repositories using (backfill_id)`);
const settleLogs = ({ ask }: Bench) =>
  ask("update archive.obligations set log_state = 'absent', log_reason = 'expired', record_key = 'x', rows_loaded_at = now()");

test("a slice lists the span and its jobs, covers it, and is done once their logs are settled", async () => {
  await using bench = await openBackfill(3);
  expect(await bench.slice()).toBe("waiting");
  expect(await stateOf(bench)).toEqual([{ state: "running", done: false, listed: true, problem: null, lease_holder: null }]);
  expect(await bench.ask("select backfill_id, count(*)::int as jobs from archive.obligations group by 1")).toEqual([
    { backfill_id: bench.ref.backfill_id, jobs: 6 },
  ]);
  expect(
    await bench.ask(`select window_start = since and window_end = until as covered from archive.windows, archive.backfills`),
  ).toEqual([{ covered: true }]);
  expect(await bench.ask("select is_selected from archive.repositories")).toEqual([{ is_selected: false }]);
  bench.simulator.control.clearJournal({});
  await settleLogs(bench);
  expect(await bench.slice()).toBe("done");
  expect(bench.asked()).toEqual([]);
  expect(await stateOf(bench)).toMatchObject([{ state: "done", done: true }]);
  expect(await bench.slice()).toBe("taken");
});

test("slices of no time come to the same end, and list only what proves the part before twice", async () => {
  await using bench = await openBackfill(0);
  for (let run = 0; run < 230; run++) bench.simulator.control.addRun({ repository, completedSecondsAgo: 600 + 60 * run });
  let slices = 0;
  do {
    await bench.slice({ sliceMs: 1 });
    expect(++slices).toBeLessThan(100);
  } while ((await bench.ask("select from archive.attempts where state <> 'listed'")).length > 0);
  expect(slices).toBeGreaterThan(30);
  expect(await bench.ask("select from archive.obligations")).toHaveLength(230);
  const created = bench.asked().filter((url) => url.includes("created="));
  // The count of the next page proves a part; a slice that ends with that part reads the page again.
  expect(created).toHaveLength(5);
  await settleLogs(bench);
  expect(await bench.slice()).toBe("done");
});

test("attempts are visited by the expiry of their logs, and those that must have expired at the end", async () => {
  await using bench = await openBackfill(3);
  await bench.ask("update archive.backfills set since = now() - interval '200 days'");
  bench.simulator.control.addRun({ repository, completedSecondsAgo: 100 * daySeconds });
  await bench.slice();
  const visits = bench.asked().flatMap((url) => /runs\/(\d+)\/attempts\/\d+\/jobs/.exec(url)?.[1] ?? []);
  const runs = await bench.ask(
    "select run_id from archive.runs order by created_at > now() - interval '90 days' desc, created_at",
  );
  // Each list is confirmed at once, by its ETag.
  expect([...new Set(visits)]).toEqual(runs.map(({ run_id }) => String(run_id)));
});

test("a span that GitHub shows short is listed again by the backfill, which is not done before", async () => {
  await using bench = await openBackfill(3);
  bench.simulator.control.addFault({
    path: "*/actions/runs",
    times: "forever",
    lie: { kind: "short-list", removeLast: 1, totalCount: "kept" },
  });
  expect(await bench.slice()).toBe("more");
  await settleLogs(bench);
  expect(await bench.slice()).toBe("more");
  expect(await bench.ask("select kind, reason from audit.gaps where kind = 'window_open'")).toEqual([
    { kind: "window_open", reason: "incomplete" },
  ]);
  bench.simulator.control.clearFaults({});
  await bench.ask("update archive.window_checks set due_at = now()");
  expect(await bench.slice()).toBe("waiting");
  await settleLogs(bench);
  expect(await bench.slice()).toBe("done");
  expect(await bench.ask("select from archive.obligations")).toHaveLength(6);
});

test("a span that stays short is a gap, and holds no backfill up", async () => {
  await using bench = await openBackfill(3);
  bench.simulator.control.addFault({ path: "*/actions/runs", times: "forever", lie: { kind: "total-count", by: 1 } });
  for (let slices = 0; slices < 4; slices++) {
    expect(await bench.slice()).toBe("more");
    await settleLogs(bench);
    await bench.ask("update archive.window_checks set due_at = now()");
  }
  expect(await bench.slice()).toBe("done");
  expect(await bench.ask("select reason from audit.gaps where kind = 'list_incomplete'")).toEqual([{ reason: "incomplete" }]);
});

test("a run that goes on is visited once, and does not hold the backfill up", async () => {
  await using bench = await openBackfill(0);
  bench.simulator.control.addRun({ repository, state: "in_progress" });
  await bench.ask("update archive.backfills set until = now() + interval '1 minute'");
  await bench.ask("update archive.backfill_repositories set listed_from = now() + interval '1 minute'");
  expect(await bench.slice()).toBe("done");
  expect(await bench.ask("select state, visits from archive.attempts")).toEqual([{ state: "open", visits: 1 }]);
});

test("a poll leaves a running backfill's attempts to it, and takes them once it is cancelled", async () => {
  await using bench = await openBackfill(2);
  await bench.slice({ sliceMs: 1 });
  const open = () => bench.ask("select from archive.attempts where state = 'open'");
  expect(await open()).toHaveLength(2);
  await bench.ask("update archive.repositories set is_selected = true");
  await bench.poll(bench.ref.repository_id, false);
  expect(await open()).toHaveLength(2);
  expect(await steerBackfill(bench.fetcher.db, bench.ref.backfill_id, "cancel")).toBe("cancelled");
  await bench.poll(bench.ref.repository_id, false);
  expect(await open()).toHaveLength(0);
});

test("what a poll found stays live, also when a backfill lists it again", async () => {
  await using bench = await openBackfill(2);
  await bench.ask("update archive.repositories set is_selected = true");
  await bench.poll(bench.ref.repository_id);
  await bench.slice();
  expect(await bench.ask("select distinct backfill_id from archive.obligations")).toEqual([{ backfill_id: null }]);
});

test("a paused backfill asks for nothing until it is resumed, a cancelled one never again", async () => {
  await using bench = await openBackfill(2);
  const { db } = bench.fetcher;
  const { backfill_id } = bench.ref;
  expect(await steerBackfill(db, backfill_id, "pause")).toBe("paused");
  expect(await listDueBackfills(db, 4)).toEqual([]);
  expect(await bench.slice()).toBe("taken");
  expect(await steerBackfill(db, backfill_id, "pause")).toBe("paused");
  expect(await steerBackfill(db, backfill_id, "resume")).toBe("running");
  expect(await listDueBackfills(db, 4)).toEqual([bench.ref]);
  expect(await steerBackfill(db, backfill_id, "cancel")).toBe("cancelled");
  expect(await steerBackfill(db, backfill_id, "resume")).toBe("cancelled");
  expect(await steerBackfill(db, backfill_id + 1, "pause")).toBeUndefined();
  expect(await bench.slice()).toBe("taken");
  expect(bench.asked()).toEqual([]);
});

test("of two slices at once one works, and a dead worker's lease ends by itself", async () => {
  await using bench = await openBackfill(2);
  bench.simulator.faults.add({ delayMs: 300 });
  const first = bench.slice();
  await expect.poll(() => bench.asked().length).toBe(1);
  expect(await bench.slice()).toBe("taken");
  expect(await first).toBe("waiting");
  await takeBackfill(bench.fetcher.db, bench.ref, "00000000-0000-4000-8000-000000000001", 60);
  await bench.ask("update archive.backfill_repositories set due_at = now()");
  expect(await listDueBackfills(bench.fetcher.db, 4)).toEqual([]);
  await bench.ask("update archive.backfill_repositories set leased_until = now()");
  expect(await listDueBackfills(bench.fetcher.db, 4)).toEqual([bench.ref]);
  expect(await bench.slice()).toBe("waiting");
});

test("a limit puts it off until the limit ends, and is no problem of the repository's", async () => {
  await using bench = await openBackfill(2);
  const headers = { "retry-after": "300" };
  bench.simulator.faults.add({ path: "*/attempts/*/jobs", status: 429, headers, body: `{"message":"slow down"}` });
  await expect(bench.slice()).rejects.toThrow(RateLimitedError);
  expect(await stateOf(bench)).toMatchObject([{ state: "running", listed: true, problem: null, lease_holder: null }]);
  const [due] = await bench.ask("select extract(epoch from due_at - now())::int as seconds from archive.backfill_repositories");
  expect(Number(due?.["seconds"])).toBeGreaterThan(290);
});

test("a repository that cannot be read is a problem that is told, and tried again later", async () => {
  await using bench = await openBackfill(2);
  bench.simulator.control.hideRepository({ repository });
  await expect(bench.slice()).rejects.toThrow("404");
  expect(await stateOf(bench)).toMatchObject([{ state: "running", problem: expect.stringContaining("404") }]);
  bench.simulator.control.hideRepository({ repository, hidden: false });
  await bench.slice();
  expect(await stateOf(bench)).toMatchObject([{ problem: null, listed: true }]);
});

test("a repository that was renamed meanwhile is followed", async () => {
  await using bench = await openBackfill(2);
  bench.simulator.control.moveRepository({ repository, name: "shop" });
  await bench.slice();
  expect(await bench.ask("select full_name from archive.repositories")).toEqual([{ full_name: "acme/shop" }]);
  expect(await bench.ask("select from archive.obligations")).toHaveLength(4);
});

test("all fetchers together work on a few repositories at once", async () => {
  await using bench = await openBackfill(1);
  const { db } = bench.fetcher;
  for (let more = 0; more < 5; more++) {
    await createBackfill(db, {
      askedFor: [repository],
      since: new Date(Date.now() - 1000),
      until: new Date(),
      repositories: [{ ...bench.ref, full_name: repository, is_private: null, estimated_runs: null }],
    });
  }
  const due = await listDueBackfills(db, 4);
  expect(due).toHaveLength(4);
  for (const [index, ref] of due.slice(0, 3).entries())
    await takeBackfill(db, ref, `00000000-0000-4000-8000-00000000000${index}`, 60);
  expect(await listDueBackfills(db, 4)).toHaveLength(1);
});
