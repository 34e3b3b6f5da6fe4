// Consecutive polls of a repository: new runs are found once, open runs are checked again, and deleted runs are distinguished
// from unreadable ones.

import { PermanentError, RateLimitedError } from "@actions-archive/core/errors";
import { acquireLease } from "@actions-archive/database/ledger/repositories";
import { expect, test } from "vitest";

import { type Harness, openHarness } from "../../test-support/harness.ts";
import { pollRepository } from "./poll-repository.ts";

const repository = "acme/app";
const twoJobs = [{ name: "build" }, { name: "test", conclusion: "failure" as const }];

async function openRepository(): Promise<Harness & { readonly id: number }> {
  const harness = await openHarness({ retentionDays: 90 });
  return { ...harness, id: await harness.addRepository(repository) };
}

const attempts = ({ query }: Harness) =>
  query("select run_attempt, state, listed_jobs from archive.attempts order by run_id, run_attempt");
const jobs = ({ query }: Harness) =>
  query("select job_id, run_attempt, last_listed_attempt, log_state from archive.log_jobs order by job_id");
const makeDue = ({ query }: Harness) => query("update archive.attempts set check_due_at = now()");

test("a completed run is listed with its jobs, whose logs are then pending", async () => {
  await using harness = await openRepository();
  const run = harness.simulator.control.addRun({ repository, jobs: twoJobs, completedSecondsAgo: 600 });
  expect(await harness.poll(harness.id, false)).toBe("polled");
  expect(await attempts(harness)).toEqual([{ run_attempt: 1, state: "listed", listed_jobs: 2 }]);
  expect(await jobs(harness)).toEqual(
    run.jobIds.map((job_id) => ({ job_id, run_attempt: 1, last_listed_attempt: 1, log_state: "pending" })),
  );
});

test("the second poll costs one request and finds nothing new", async () => {
  await using harness = await openRepository();
  harness.simulator.control.addRun({ repository, jobs: twoJobs, completedSecondsAgo: 600 });
  await harness.poll(harness.id, false);
  const before = await harness.query("select * from archive.runs, archive.attempts, archive.log_jobs order by job_id");
  harness.simulator.control.clearJournal({});
  await harness.poll(harness.id, false);
  expect(harness.requests()).toHaveLength(1);
  expect(harness.requests()[0]).toContain("/actions/runs?exclude_pull_requests=true&per_page=100&page=1");
  expect(await harness.query("select * from archive.runs, archive.attempts, archive.log_jobs order by job_id")).toEqual(before);
  expect(await harness.query("select count(*)::int as windows from archive.windows")).toEqual([{ windows: 1 }]);
});

test("the first poll goes back by the log retention, and the newest two minutes stay open", async () => {
  await using harness = await openRepository();
  await harness.poll(harness.id, false);
  const [window] = await harness.query(
    "select extract(epoch from now() - window_start) / 86400 as days, extract(epoch from now() - window_end) as left from archive.windows",
  );
  expect(Number(window?.["days"])).toBeCloseTo(90, 1);
  expect(Number(window?.["left"])).toBeGreaterThanOrEqual(119);
  expect(Number(window?.["left"])).toBeLessThan(130);
});

test("a job's expiry follows from the repository's retention from the first poll on", async () => {
  await using harness = await openHarness();
  const id = await harness.addRepository(repository);
  const found = harness.simulator.world.findRepositoryById(id);
  if (found === undefined) throw new Error("no repository");
  found.retentionDays = 7;
  harness.simulator.control.addRun({ repository, completedSecondsAgo: 600 });
  await harness.poll(id, false);
  expect(await harness.query("select extract(day from expires_at - completed_at)::int as days from archive.log_jobs")).toEqual([
    { days: 7 },
  ]);
});

test("a run in progress is checked until it is completed, and its jobs are recorded as they complete", async () => {
  await using harness = await openRepository();
  const run = harness.simulator.control.addRun({ repository, state: "in_progress", jobs: twoJobs });
  await harness.poll(harness.id, false);
  expect(await attempts(harness)).toEqual([{ run_attempt: 1, state: "open", listed_jobs: null }]);
  expect(await jobs(harness)).toEqual([]);
  await harness.simulator.control.completeRun({ runId: run.runId });
  await makeDue(harness);
  await harness.poll(harness.id, false);
  expect(await attempts(harness)).toEqual([{ run_attempt: 1, state: "listed", listed_jobs: 2 }]);
  expect((await jobs(harness)).map(({ job_id }) => job_id)).toEqual(run.jobIds);
});

test("a run just listed as in progress costs one request and does not count as complete", async () => {
  await using harness = await openRepository();
  await harness.poll(harness.id, false);
  const run = harness.simulator.control.addRun({ repository, state: "in_progress", jobs: twoJobs });
  harness.simulator.control.clearJournal({});
  await harness.poll(harness.id, false);
  expect(harness.requests().filter((url) => url.includes(`/runs/${run.runId}`))).toEqual([
    expect.stringContaining(`/runs/${run.runId}/attempts/1/jobs`),
  ]);
  expect(await attempts(harness)).toEqual([{ run_attempt: 1, state: "open", listed_jobs: null }]);
  // An unchanged list shows no runs, so the run is requested.
  await makeDue(harness);
  harness.simulator.control.clearJournal({});
  await harness.poll(harness.id, false);
  expect(harness.requests().filter((url) => url.includes(`/runs/${run.runId}`))).toHaveLength(2);
});

test("an attempt in progress is not checked before it is due", async () => {
  await using harness = await openRepository();
  harness.simulator.control.addRun({ repository, state: "in_progress" });
  await harness.poll(harness.id, false);
  harness.simulator.control.clearJournal({});
  await harness.poll(harness.id, false);
  expect(harness.requests().filter((url) => url.includes("/attempts/"))).toEqual([]);
});

test("a re-run is found by the next full pass, each attempt with its own jobs", async () => {
  await using harness = await openRepository();
  const run = harness.simulator.control.addRun({ repository, jobs: twoJobs, completedSecondsAgo: 600 });
  await harness.poll(harness.id);
  const again = harness.simulator.control.rerun({ runId: run.runId, failedOnly: true });
  await harness.poll(harness.id);
  expect(await attempts(harness)).toEqual([
    { run_attempt: 1, state: "listed", listed_jobs: 2 },
    { run_attempt: 2, state: "listed", listed_jobs: 2 },
  ]);
  const found = await jobs(harness);
  expect(new Set(found.map(({ job_id }) => job_id))).toEqual(new Set([...run.jobIds, ...again.jobIds]));
  expect(found.filter(({ run_attempt }) => run_attempt === 2)).toHaveLength(2);
});

test("a passed job that is listed again under its id belongs to the attempt that ran it", async () => {
  await using harness = await openRepository();
  const run = harness.simulator.control.addRun({ repository, jobs: twoJobs, completedSecondsAgo: 600 });
  harness.simulator.control.rerun({ runId: run.runId, failedOnly: true, copies: "same-ids" });
  await harness.poll(harness.id);
  expect(await jobs(harness)).toMatchObject([
    { job_id: run.jobIds[0], run_attempt: 1, last_listed_attempt: 2 },
    { job_id: run.jobIds[1], run_attempt: 1, last_listed_attempt: 1 },
    { run_attempt: 2, last_listed_attempt: 2 },
  ]);
});

test("a run deleted before its jobs were listed is gone after several checks over a day, a closed gap", async () => {
  await using harness = await openRepository();
  const run = harness.simulator.control.addRun({ repository, state: "in_progress" });
  await harness.poll(harness.id);
  harness.simulator.control.deleteRun({ runId: run.runId });
  const yesterday = "update archive.attempts set same_reason_since = same_reason_since - interval '23 hours'";
  for (const query of [yesterday, "select", "select", yesterday]) {
    await harness.poll(harness.id);
    expect(await attempts(harness)).toMatchObject([{ state: "open" }]);
    await harness.query(query);
  }
  await harness.poll(harness.id);
  expect(await attempts(harness)).toMatchObject([{ state: "gone" }]);
});

test("a Postgres that drops the connection is no problem of the repository, which stays due", async () => {
  await using harness = await openRepository();
  harness.simulator.control.addRun({ repository, jobs: twoJobs, completedSecondsAgo: 600 });
  await harness.query(`
    create function archive.drop_connection() returns trigger language plpgsql as
      $$ begin perform pg_terminate_backend(pg_backend_pid()), pg_sleep(5); return new; end $$;
    create trigger drop_connection before insert on archive.runs execute function archive.drop_connection()`);
  await expect(harness.poll(harness.id, false)).rejects.toMatchObject({ code: "database/unavailable" });
  expect(await harness.query("select problem, poll_due_at <= now() as is_due from archive.repositories")).toEqual([
    { problem: null, is_due: true },
  ]);
  await harness.query("drop trigger drop_connection on archive.runs");
  expect(await harness.poll(harness.id, false)).toBe("polled");
  expect(await attempts(harness)).toEqual([{ run_attempt: 1, state: "listed", listed_jobs: 2 }]);
});

test("an unreadable repository is a problem, and none of its runs counts as gone", async () => {
  await using harness = await openRepository();
  harness.simulator.control.addRun({ repository, state: "in_progress" });
  await harness.poll(harness.id);
  harness.simulator.control.hideRepository({ repository });
  for (const isFullPass of [false, true]) {
    await makeDue(harness);
    await expect(harness.poll(harness.id, isFullPass)).rejects.toThrow(PermanentError);
    expect(await attempts(harness)).toMatchObject([{ state: "open" }]);
  }
  expect(
    await harness.query("select problem like '%404%' as has_status, poll_due_at > now() as later from archive.repositories"),
  ).toEqual([{ has_status: true, later: true }]);
  harness.simulator.control.hideRepository({ repository, hidden: false });
  await harness.poll(harness.id, false);
  expect(await harness.query("select problem from archive.repositories")).toEqual([{ problem: null }]);
});

test("a renamed repository is found by its id and recorded under its new name", async () => {
  await using harness = await openRepository();
  harness.simulator.control.addRun({ repository, completedSecondsAgo: 600 });
  harness.simulator.control.moveRepository({ repository, name: "shop", owner: "octo-org" });
  await harness.poll(harness.id);
  expect(await harness.query("select repository_id, full_name from archive.repositories")).toEqual([
    { repository_id: harness.id, full_name: "octo-org/shop" },
  ]);
  expect(await jobs(harness)).toHaveLength(1);
});

test("another repository that took the name is not archived under the old id", async () => {
  await using harness = await openRepository();
  await harness.poll(harness.id);
  harness.simulator.control.hideRepository({ repository });
  const { id: otherId } = harness.simulator.control.addRepository({ repository });
  expect(otherId).not.toBe(harness.id);
  harness.simulator.control.addRun({ repository, durationSeconds: 10 });
  await expect(harness.poll(harness.id, false)).rejects.toThrow(`is now another repository (id ${otherId}`);
  await expect(harness.poll(harness.id)).rejects.toThrow(`is now another repository (id ${otherId}`);
  expect(await harness.query("select from archive.runs")).toEqual([]);
  expect(await jobs(harness)).toEqual([]);
});

test("a repository whose old name was taken is found by its id", async () => {
  await using harness = await openRepository();
  await harness.poll(harness.id);
  harness.simulator.control.moveRepository({ repository, name: "shop" });
  harness.simulator.control.addRepository({ repository });
  harness.simulator.control.addRun({ repository, durationSeconds: 10 });
  const run = harness.simulator.control.addRun({ repository: "acme/shop", completedSecondsAgo: 600 });
  // Within the same poll that finds the other repository under the name.
  expect(await harness.poll(harness.id, false)).toBe("polled");
  expect(await harness.query("select full_name, problem from archive.repositories")).toEqual([
    { full_name: "acme/shop", problem: null },
  ]);
  expect((await jobs(harness)).map(({ job_id }) => job_id)).toEqual(run.jobIds);
});

test("a re-run in the last minutes of GitHub's 30 days is found by a later scan", async () => {
  await using harness = await openHarness({ retentionDays: 90, clockSpeed: 0 });
  const id = await harness.addRepository(repository);
  const run = harness.simulator.control.addRun({ repository, jobs: twoJobs, completedSecondsAgo: 600 });
  await harness.poll(id, false);
  // The last re-run scan is five hours old, so none is due when the run is re-run.
  const day = 86_400_000;
  harness.simulator.clock.advance(29.7 * day);
  await harness.poll(id, false);
  harness.simulator.clock.advance(5 * 3_600_000);
  const again = harness.simulator.control.rerun({ runId: run.runId });
  // There are more runs than the first page shows: only a re-run scan finds it.
  for (let more = 0; more < 110; more++) harness.simulator.control.addRun({ repository, jobs: [] });
  harness.simulator.clock.advance(4 * 3_600_000);
  await harness.poll(id, false);
  expect((await jobs(harness)).map(({ job_id }) => job_id)).toEqual(
    [...run.jobIds, ...again.jobIds].toSorted((left, right) => left - right),
  );
});

test("a repository whose pages of 100 runs fail is listed in smaller pages from its first page on", async () => {
  await using harness = await openRepository();
  for (let run = 0; run < 40; run++) harness.simulator.control.addRun({ repository, completedSecondsAgo: 600 + run });
  harness.simulator.faults.add({ path: "*/actions/runs", query: "per_page=100", status: 502, times: "forever" });
  expect(await harness.poll(harness.id, false)).toBe("polled");
  expect(await jobs(harness)).toHaveLength(40);
  harness.simulator.control.clearJournal({});
  await harness.poll(harness.id, false);
  expect(harness.simulator.journal.entries({ origin: "api" }).map(({ status }) => status)).toEqual([502, 502, 304]);
});

test("of two concurrent polls one runs, and the lease is respected until it expires", async () => {
  await using harness = await openRepository();
  harness.simulator.faults.add({ delayMs: 500 });
  const first = harness.poll(harness.id);
  await expect.poll(() => harness.requests().length).toBe(1);
  expect(await harness.poll(harness.id)).toBe("leased");
  expect(await first).toBe("polled");
  await acquireLease(harness.fetcher.db, harness.id, "00000000-0000-4000-8000-000000000001", 60);
  expect(await harness.poll(harness.id)).toBe("leased");
  await harness.query("update archive.repositories set leased_until = now()");
  expect(await harness.poll(harness.id)).toBe("polled");
  expect(await harness.poll(harness.id + 1)).toBe("unknown");
});

test("a rate limit ends the poll, which is due again when it resets, and keeps what was listed", async () => {
  await using harness = await openRepository();
  harness.simulator.control.addRun({ repository, jobs: twoJobs, completedSecondsAgo: 600 });
  harness.simulator.faults.add({
    path: "*/attempts/*/jobs",
    status: 429,
    headers: { "retry-after": "300" },
    body: `{"message":"slow down"}`,
  });
  await expect(harness.poll(harness.id, false)).rejects.toThrow(RateLimitedError);
  expect(await attempts(harness)).toMatchObject([{ state: "open" }]);
  const [due] = await harness.query("select extract(epoch from poll_due_at - now())::int as seconds from archive.repositories");
  expect(Number(due?.["seconds"])).toBeGreaterThan(290);
  expect(await harness.query("select lease_holder from archive.repositories")).toEqual([{ lease_holder: null }]);
});

test("an aborted poll keeps what it listed and releases its lease", async () => {
  await using harness = await openRepository();
  for (let run = 0; run < 9; run++) harness.simulator.control.addRun({ repository, completedSecondsAgo: 600 + run });
  const stop = new AbortController();
  const polling = pollRepository(harness.fetcher, harness.id, {
    isFullPass: false,
    signal: stop.signal,
    onProgress: async () => stop.abort(new Error("shutting down")),
  });
  await expect(polling).rejects.toThrow("shutting down");
  // As many as are checked concurrently may have ended.
  const listed = (await attempts(harness)).filter(({ state }) => state === "listed").length;
  expect([listed >= 1, listed <= 4]).toEqual([true, true]);
  expect(await harness.poll(harness.id, false)).toBe("polled");
  expect(await jobs(harness)).toHaveLength(9);
});

test("a long history does not delay new runs: each poll begins with the newest, and none is listed twice", async () => {
  await using harness = await openRepository();
  for (let run = 0; run < 230; run++) harness.simulator.control.addRun({ repository, completedSecondsAgo: 600 + 60 * run });
  const look = () =>
    pollRepository(harness.fetcher, harness.id, { isFullPass: false, signal: AbortSignal.timeout(20_000), maxPollMs: 1 });
  const owed = async () => (await harness.query("select from archive.attempts where state = 'open'")).length;
  await look();
  expect(await harness.query("select poll_due_at <= now() as due, runs_etag from archive.repositories")).toEqual([
    { due: true, runs_etag: null },
  ]);
  const fresh = harness.simulator.control.addRun({ repository, completedSecondsAgo: 200 });
  await look();
  expect((await jobs(harness)).map(({ job_id }) => job_id)).toContain(fresh.jobIds[0]);
  expect(await owed()).toBeGreaterThan(90);
  let polls = 2;
  do {
    await look();
    expect(++polls).toBeLessThan(300);
  } while ((await harness.query("select from archive.repositories where runs_etag is null")).length > 0);
  expect(await owed()).toBe(0);
  expect(await jobs(harness)).toHaveLength(231);
  const created = harness.requests().filter((url) => url.includes("created="));
  expect(new Set(created).size).toBe(created.length);
});

test("a check completes a run of which a rebuilt ledger has only the id, even when no list shows it any more", async () => {
  await using harness = await openRepository();
  harness.simulator.control.addRun({ repository, state: "in_progress" });
  await harness.poll(harness.id);
  const known = await harness.query("select * from archive.runs");
  await harness.query(`update archive.runs
    set run_number = null, workflow_id = null, workflow_name = null, path = null, event = null, actor = null, status = null, updated_at = null`);
  await harness.query("update archive.attempts set object = null, status = null, run_updated_at = null, check_due_at = now()");
  await harness.poll(harness.id, false);
  const { run_id, run_number, path, event, actor, status } = known[0] ?? {};
  expect(await harness.query("select * from archive.runs")).toMatchObject([{ run_id, run_number, path, event, actor, status }]);
});

test("a run that is open for 35 days is closed as never completed", async () => {
  await using harness = await openRepository();
  harness.simulator.control.addRun({ repository, state: "in_progress" });
  await harness.poll(harness.id);
  harness.simulator.control.advanceClock({ ms: 34 * 86_400_000 });
  await harness.poll(harness.id);
  expect(await attempts(harness)).toMatchObject([{ state: "open" }]);
  harness.simulator.control.advanceClock({ ms: 2 * 86_400_000 });
  await harness.poll(harness.id);
  expect(await attempts(harness)).toMatchObject([{ state: "never_completed" }]);
});
