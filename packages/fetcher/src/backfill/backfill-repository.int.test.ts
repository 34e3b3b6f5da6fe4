// A backfill in slices: each run is listed once, the earliest expiry is archived first, and a pause, a rate limit or a crash only
// costs time.

import { daySeconds } from "@actions-archive/core/durations";
import { RateLimitedError } from "@actions-archive/core/errors";
import {
  createBackfill,
  listDueBackfills,
  changeBackfillState,
  leaseBackfillSlice,
} from "@actions-archive/database/backfill/backfills";
import { expect, test } from "vitest";

import { type Harness, openHarness } from "../../test-support/harness.ts";
import { backfillRepository, type SliceOptions } from "./backfill-repository.ts";

const repository = "acme/app";

type BackfillHarness = Harness & {
  readonly ref: { readonly backfill_id: number; readonly repository_id: number };
  readonly slice: (options?: Partial<SliceOptions>) => ReturnType<typeof backfillRepository>;
};

/** A backfill of the last 30 days of a repository that is not polled, with a run of two jobs a day for `days`. */
async function openBackfill(days: number): Promise<BackfillHarness> {
  const harness = await openHarness({ retentionDays: 90, rateLimits: { perHour: 1_000_000 } });
  const { id: repository_id } = harness.simulator.control.addRepository({ repository });
  for (let day = 1; day <= days; day++)
    harness.simulator.control.addRun({ repository, jobs: [{ name: "a" }, { name: "b" }], completedSecondsAgo: day * daySeconds });
  const now = Date.now();
  const backfill_id = await createBackfill(harness.fetcher.db, {
    askedFor: [repository],
    since: new Date(now - 30 * daySeconds * 1000),
    until: new Date(now - 120_000),
    repositories: [{ repository_id, full_name: repository, is_private: false, estimated_runs: days }],
  });
  const ref = { backfill_id, repository_id };
  const slice = (options: Partial<SliceOptions> = {}) =>
    backfillRepository(harness.fetcher, ref, { signal: AbortSignal.timeout(20_000), ...options });
  return { ...harness, ref, slice };
}

const stateOf = ({ query }: Harness) =>
  query(`select state, done_at is not null as done, listed_from = since as listed, problem, lease_holder
    from archive.backfills join archive.backfill_repositories using (backfill_id)`);
const recordTerminalStates = ({ query }: Harness) =>
  query("update archive.log_jobs set log_state = 'absent', log_reason = 'expired', record_key = 'x', rows_loaded_at = now()");

test("a slice lists the span and its jobs, covers it, and is done once the logs are in terminal states", async () => {
  await using harness = await openBackfill(3);
  expect(await harness.slice()).toBe("waiting");
  expect(await stateOf(harness)).toEqual([{ state: "running", done: false, listed: true, problem: null, lease_holder: null }]);
  expect(await harness.query("select backfill_id, count(*)::int as jobs from archive.log_jobs group by 1")).toEqual([
    { backfill_id: harness.ref.backfill_id, jobs: 6 },
  ]);
  expect(
    await harness.query(`select window_start = since and window_end = until as covered from archive.windows, archive.backfills`),
  ).toEqual([{ covered: true }]);
  expect(await harness.query("select is_selected from archive.repositories")).toEqual([{ is_selected: false }]);
  harness.simulator.control.clearJournal({});
  await recordTerminalStates(harness);
  expect(await harness.slice()).toBe("done");
  expect(harness.requests()).toEqual([]);
  expect(await stateOf(harness)).toMatchObject([{ state: "done", done: true }]);
  expect(await harness.slice()).toBe("taken");
});

test("slices of zero duration reach the same end, and list again only what confirms the preceding part", async () => {
  await using harness = await openBackfill(0);
  for (let run = 0; run < 230; run++) harness.simulator.control.addRun({ repository, completedSecondsAgo: 600 + 60 * run });
  let slices = 0;
  do {
    await harness.slice({ sliceMs: 1 });
    expect(++slices).toBeLessThan(100);
  } while ((await harness.query("select from archive.attempts where state <> 'listed'")).length > 0);
  expect(slices).toBeGreaterThan(30);
  expect(await harness.query("select from archive.log_jobs")).toHaveLength(230);
  const created = harness.requests().filter((url) => url.includes("created="));
  // The count of the next page confirms a part; a slice that ends with that part reads the page again.
  expect(created).toHaveLength(5);
  await recordTerminalStates(harness);
  expect(await harness.slice()).toBe("done");
});

test("attempts are checked by the expiry of their logs, presumably expired ones last", async () => {
  await using harness = await openBackfill(3);
  await harness.query("update archive.backfills set since = now() - interval '200 days'");
  harness.simulator.control.addRun({ repository, completedSecondsAgo: 100 * daySeconds });
  await harness.slice();
  const checks = harness.requests().flatMap((url) => /runs\/(\d+)\/attempts\/\d+\/jobs/.exec(url)?.[1] ?? []);
  const runs = await harness.query(
    "select run_id from archive.runs order by created_at > now() - interval '90 days' desc, created_at",
  );
  // Each list is confirmed at once, by its ETag.
  expect([...new Set(checks)]).toEqual(runs.map(({ run_id }) => String(run_id)));
});

test("a span that GitHub lists incompletely is listed again before the backfill is done", async () => {
  await using harness = await openBackfill(3);
  harness.simulator.control.addFault({
    path: "*/actions/runs",
    times: "forever",
    lie: { kind: "short-list", removeLast: 1, totalCount: "kept" },
  });
  expect(await harness.slice()).toBe("more");
  await recordTerminalStates(harness);
  expect(await harness.slice()).toBe("more");
  expect(await harness.query("select kind, reason from audit.gaps where kind = 'window_open'")).toEqual([
    { kind: "window_open", reason: "incomplete" },
  ]);
  harness.simulator.control.clearFaults({});
  await harness.query("update archive.window_checks set due_at = now()");
  expect(await harness.slice()).toBe("waiting");
  await recordTerminalStates(harness);
  expect(await harness.slice()).toBe("done");
  expect(await harness.query("select from archive.log_jobs")).toHaveLength(6);
});

test("a span that stays incomplete is a gap and does not block the backfill", async () => {
  await using harness = await openBackfill(3);
  harness.simulator.control.addFault({ path: "*/actions/runs", times: "forever", lie: { kind: "total-count", by: 1 } });
  for (let slices = 0; slices < 4; slices++) {
    expect(await harness.slice()).toBe("more");
    await recordTerminalStates(harness);
    await harness.query("update archive.window_checks set due_at = now()");
  }
  expect(await harness.slice()).toBe("done");
  expect(await harness.query("select reason from audit.gaps where kind = 'list_incomplete'")).toEqual([{ reason: "incomplete" }]);
});

test("a run in progress is checked once and does not block the backfill", async () => {
  await using harness = await openBackfill(0);
  harness.simulator.control.addRun({ repository, state: "in_progress" });
  await harness.query("update archive.backfills set until = now() + interval '1 minute'");
  await harness.query("update archive.backfill_repositories set listed_from = now() + interval '1 minute'");
  expect(await harness.slice()).toBe("done");
  expect(await harness.query("select state, checks from archive.attempts")).toEqual([{ state: "open", checks: 1 }]);
});

test("a poll skips a running backfill's attempts, and checks them once it is cancelled", async () => {
  await using harness = await openBackfill(2);
  await harness.slice({ sliceMs: 1 });
  const open = () => harness.query("select from archive.attempts where state = 'open'");
  expect(await open()).toHaveLength(2);
  await harness.query("update archive.repositories set is_selected = true");
  await harness.poll(harness.ref.repository_id, false);
  expect(await open()).toHaveLength(2);
  expect(await changeBackfillState(harness.fetcher.db, harness.ref.backfill_id, "cancel")).toBe("cancelled");
  await harness.poll(harness.ref.repository_id, false);
  expect(await open()).toHaveLength(0);
});

test("runs that a poll found stay live when a backfill lists them again", async () => {
  await using harness = await openBackfill(2);
  await harness.query("update archive.repositories set is_selected = true");
  await harness.poll(harness.ref.repository_id);
  await harness.slice();
  expect(await harness.query("select distinct backfill_id from archive.log_jobs")).toEqual([{ backfill_id: null }]);
});

test("a paused backfill sends no requests until it is resumed, a cancelled one never again", async () => {
  await using harness = await openBackfill(2);
  const { db } = harness.fetcher;
  const { backfill_id } = harness.ref;
  expect(await changeBackfillState(db, backfill_id, "pause")).toBe("paused");
  expect(await listDueBackfills(db, 4)).toEqual([]);
  expect(await harness.slice()).toBe("taken");
  expect(await changeBackfillState(db, backfill_id, "pause")).toBe("paused");
  expect(await changeBackfillState(db, backfill_id, "resume")).toBe("running");
  expect(await listDueBackfills(db, 4)).toEqual([harness.ref]);
  expect(await changeBackfillState(db, backfill_id, "cancel")).toBe("cancelled");
  expect(await changeBackfillState(db, backfill_id, "resume")).toBe("cancelled");
  expect(await changeBackfillState(db, backfill_id + 1, "pause")).toBeUndefined();
  expect(await harness.slice()).toBe("taken");
  expect(harness.requests()).toEqual([]);
});

test("of two concurrent slices one runs, and a crashed worker's lease expires", async () => {
  await using harness = await openBackfill(2);
  harness.simulator.faults.add({ delayMs: 300 });
  const first = harness.slice();
  await expect.poll(() => harness.requests().length).toBe(1);
  expect(await harness.slice()).toBe("taken");
  expect(await first).toBe("waiting");
  await leaseBackfillSlice(harness.fetcher.db, harness.ref, "00000000-0000-4000-8000-000000000001", 60);
  await harness.query("update archive.backfill_repositories set due_at = now()");
  expect(await listDueBackfills(harness.fetcher.db, 4)).toEqual([]);
  await harness.query("update archive.backfill_repositories set leased_until = now()");
  expect(await listDueBackfills(harness.fetcher.db, 4)).toEqual([harness.ref]);
  expect(await harness.slice()).toBe("waiting");
});

test("a rate limit defers the slice until it resets, and is no problem of the repository", async () => {
  await using harness = await openBackfill(2);
  const headers = { "retry-after": "300" };
  harness.simulator.faults.add({ path: "*/attempts/*/jobs", status: 429, headers, body: `{"message":"slow down"}` });
  await expect(harness.slice()).rejects.toThrow(RateLimitedError);
  expect(await stateOf(harness)).toMatchObject([{ state: "running", listed: true, problem: null, lease_holder: null }]);
  const [due] = await harness.query(
    "select extract(epoch from due_at - now())::int as seconds from archive.backfill_repositories",
  );
  expect(Number(due?.["seconds"])).toBeGreaterThan(290);
});

test("an unreadable repository is recorded as a problem and retried later", async () => {
  await using harness = await openBackfill(2);
  harness.simulator.control.hideRepository({ repository });
  await expect(harness.slice()).rejects.toThrow("404");
  expect(await stateOf(harness)).toMatchObject([{ state: "running", problem: expect.stringContaining("404") }]);
  harness.simulator.control.hideRepository({ repository, hidden: false });
  await harness.slice();
  expect(await stateOf(harness)).toMatchObject([{ problem: null, listed: true }]);
});

test("a repository renamed meanwhile is found under its new name", async () => {
  await using harness = await openBackfill(2);
  harness.simulator.control.moveRepository({ repository, name: "shop" });
  await harness.slice();
  expect(await harness.query("select full_name from archive.repositories")).toEqual([{ full_name: "acme/shop" }]);
  expect(await harness.query("select from archive.log_jobs")).toHaveLength(4);
});

test("all fetchers together run a few backfills concurrently", async () => {
  await using harness = await openBackfill(1);
  const { db } = harness.fetcher;
  for (let more = 0; more < 5; more++) {
    await createBackfill(db, {
      askedFor: [repository],
      since: new Date(Date.now() - 1000),
      until: new Date(),
      repositories: [{ ...harness.ref, full_name: repository, is_private: null, estimated_runs: null }],
    });
  }
  const due = await listDueBackfills(db, 4);
  expect(due).toHaveLength(4);
  for (const [index, ref] of due.slice(0, 3).entries())
    await leaseBackfillSlice(db, ref, `00000000-0000-4000-8000-00000000000${index}`, 60);
  expect(await listDueBackfills(db, 4)).toHaveLength(1);
});
