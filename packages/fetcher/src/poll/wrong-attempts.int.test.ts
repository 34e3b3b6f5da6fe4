// Wrong answers about one run, once or for a while: its attempt stays open until a list shows all of its jobs, and whatever shows
// the run again reopens a closed attempt.

import type { FaultInput } from "@actions-archive/github-simulator/http/faults";
import { oddJobFields } from "@actions-archive/github-simulator/http/lies";
import { expect, test } from "vitest";

import { type Harness, openHarness } from "../../test-support/harness.ts";
import type { FetcherSettings } from "../fetcher.ts";

const repository = "acme/app";
const jobs = [{ name: "build" }, { name: "test", conclusion: "failure" as const }, { name: "lint" }];
const jobLists = { path: "*/jobs" };

type RepositoryHarness = Harness & { readonly id: number };

async function openRepository(settings: Partial<FetcherSettings> = {}): Promise<RepositoryHarness> {
  const harness = await openHarness({ retentionDays: 90 }, settings);
  return { ...harness, id: await harness.addRepository(repository) };
}

const attempts = ({ query }: Harness) =>
  query("select run_attempt, state, check_reason from archive.attempts order by run_id, run_attempt");
const countJobs = async ({ query }: Harness) => Number((await query("select count(*) from archive.log_jobs"))[0]?.["count"]);
const makeDue = ({ query }: Harness) => query("update archive.attempts set check_due_at = now()");
const gaps = ({ query }: Harness) =>
  query("select kind, reason from audit.gaps where kind not in ('window_open', 'log_pending', 'job_not_loaded')");
/** Moves the attempts' times back by an hour. */
const passHour = ({ query }: Harness) =>
  query(
    "update archive.attempts set check_due_at = check_due_at - interval '1 hour', same_reason_since = same_reason_since - interval '1 hour'",
  );

const listed = { run_attempt: 1, state: "listed", check_reason: null };

const wrongLists: readonly [string, NonNullable<FaultInput["lie"]>, string][] = [
  ["answers 404", { kind: "error", status: 404 }, "list_not_found"],
  ["is refused", { kind: "error", status: 403 }, "unreadable"],
  ["is gone", { kind: "error", status: 410 }, "unreadable"],
  ["is an error page", { kind: "document", format: "html" }, "unreadable"],
  ["is an error in JSON", { kind: "document", format: "json" }, "unreadable"],
  ["is empty", { kind: "empty-list", totalCount: "kept" }, "incomplete"],
  ["is empty with a count of 0", { kind: "empty-list" }, "empty"],
  ["is cut short", { kind: "short-list", keepFirst: 1, totalCount: "kept" }, "incomplete"],
  ["starts one job late", { kind: "shifted-list", totalCount: "kept" }, "incomplete"],
  [
    "shows a job twice in the place of another",
    { kind: "duplicate-item", item: 0, inPlaceOf: 2, totalCount: "kept" },
    "incomplete",
  ],
  ["counts more jobs", { kind: "total-count", by: 2 }, "incomplete"],
];

test.each(wrongLists)(
  "a completed run whose job list %s once stays open, and the next check lists it",
  async (_what, lie, reason) => {
    await using harness = await openRepository();
    harness.simulator.control.addRun({ repository, jobs, completedSecondsAgo: 600 });
    harness.simulator.control.addFault({ ...jobLists, lie });
    await harness.poll(harness.id, false);
    harness.simulator.control.assertFaultsHit({});
    expect(await attempts(harness)).toEqual([{ run_attempt: 1, state: "open", check_reason: reason }]);
    expect(await gaps(harness)).toEqual([{ kind: "run_open", reason }]);
    expect(await harness.query("select complete from audit.coverage where runs_found > 0")).toEqual([{ complete: false }]);
    await makeDue(harness);
    await harness.poll(harness.id, false);
    expect(await attempts(harness)).toEqual([listed]);
    expect(await countJobs(harness)).toBe(3);
  },
);

test.each(wrongLists)("a job list that %s for an hour is a gap of its own and recovers", async (_what, lie, reason) => {
  await using harness = await openRepository();
  harness.simulator.control.addRun({ repository, jobs, completedSecondsAgo: 600 });
  harness.simulator.control.addFault({ ...jobLists, times: "forever", lie });
  for (let checks = 0; checks < 6; checks++) {
    await makeDue(harness);
    await harness.poll(harness.id, false);
  }
  await passHour(harness);
  expect(await gaps(harness)).toEqual([{ kind: "list_incomplete", reason }]);
  harness.simulator.control.clearFaults({});
  await makeDue(harness);
  await harness.poll(harness.id, false);
  expect(await attempts(harness)).toEqual([listed]);
  expect(await gaps(harness)).toEqual([]);
  expect(await countJobs(harness)).toBe(3);
});

test.each(["queued", "in_progress"] as const)(
  "a fresh run that is %s and answers 404 once is listed when it completes",
  async (state) => {
    await using harness = await openRepository();
    const { runId } = harness.simulator.control.addRun({ repository, jobs, state });
    harness.simulator.control.addFault({ path: "*/actions/runs/*", times: 2, lie: { kind: "error", status: 404 } });
    await harness.poll(harness.id, false);
    expect(await attempts(harness)).toMatchObject([{ state: "open", check_reason: "run_not_found" }]);
    await harness.simulator.control.completeRun({ runId });
    await makeDue(harness);
    await harness.poll(harness.id, false);
    expect(await attempts(harness)).toEqual([listed]);
  },
);

test("404 for every request about runs and jobs for a day closes nothing that the lists show again", async () => {
  await using harness = await openRepository();
  harness.simulator.control.addRun({ repository, jobs, completedSecondsAgo: 600 });
  harness.simulator.control.addFault({ path: "*/actions/runs/*", times: "forever", lie: { kind: "error", status: 404 } });
  for (let day = 0; day < 4; day++) {
    await makeDue(harness);
    await harness.poll(harness.id, false);
    await harness.query("update archive.attempts set same_reason_since = same_reason_since - interval '1 day'");
  }
  expect(await attempts(harness)).toMatchObject([{ state: "gone" }]);
  expect(await gaps(harness)).toEqual([{ kind: "attempt_gone", reason: "deleted" }]);
  harness.simulator.control.clearFaults({});
  await harness.poll(harness.id);
  expect(await attempts(harness)).toEqual([listed]);
  expect(await gaps(harness)).toEqual([]);
  expect(await countJobs(harness)).toBe(3);
});

test("only a GHES before 3.5 falls back to the list of all attempts", async () => {
  await using harness = await openRepository();
  const run = harness.simulator.control.addRun({ repository, jobs, completedSecondsAgo: 600 });
  harness.simulator.control.rerun({ runId: run.runId });
  harness.simulator.control.addFault({ path: "*/attempts/1/jobs", times: "forever", lie: { kind: "error", status: 404 } });
  await harness.poll(harness.id);
  expect(await harness.query("select run_attempt, count(*)::int as jobs from archive.log_jobs group by 1")).toEqual([
    { run_attempt: 2, jobs: 3 },
  ]);
  expect(harness.requests().filter((url) => url.includes("filter=all"))).toEqual([]);
});

test("a run that completed just now is listed a second time, which finds a job that GitHub listed late", async () => {
  await using harness = await openRepository({ RUN_SETTLE_SECONDS: 120 });
  const lagging = [...jobs.slice(0, 2), { name: "lint", lagSeconds: 60, lagShows: "missing" as const }];
  harness.simulator.control.addRun({ repository, jobs: lagging, completedSecondsAgo: 0 });
  await harness.poll(harness.id, false);
  expect(await attempts(harness)).toEqual([{ run_attempt: 1, state: "open", check_reason: "settling" }]);
  expect(await countJobs(harness)).toBe(2);
  expect(await gaps(harness)).toEqual([{ kind: "run_open", reason: "settling" }]);
  const [due] = await harness.query("select extract(epoch from check_due_at - now())::int as seconds from archive.attempts");
  expect(Number(due?.["seconds"])).toBeGreaterThan(110);
  harness.simulator.clock.advance(125_000);
  await makeDue(harness);
  await harness.poll(harness.id, false);
  expect(await attempts(harness)).toEqual([listed]);
  expect(await countJobs(harness)).toBe(3);
});

test("a truncated list with a matching count is contradicted by the preceding one", async () => {
  await using harness = await openRepository({ RUN_SETTLE_SECONDS: 120 });
  harness.simulator.control.addRun({ repository, jobs, completedSecondsAgo: 0 });
  await harness.poll(harness.id, false);
  harness.simulator.clock.advance(125_000);
  harness.simulator.control.addFault({ ...jobLists, lie: { kind: "short-list", keepFirst: 1 } });
  await makeDue(harness);
  await harness.poll(harness.id, false);
  harness.simulator.control.assertFaultsHit({});
  expect(await attempts(harness)).toEqual([{ run_attempt: 1, state: "open", check_reason: "incomplete" }]);
  await makeDue(harness);
  await harness.poll(harness.id, false);
  expect(await attempts(harness)).toEqual([listed]);
});

test("a run that completed earlier costs one job list", async () => {
  await using harness = await openRepository({ RUN_SETTLE_SECONDS: 120 });
  harness.simulator.control.addRun({ repository, jobs, completedSecondsAgo: 121 });
  await harness.poll(harness.id, false);
  const answers = harness.simulator.journal.entries({ url: "/attempts/1/jobs" }).map(({ status }) => status);
  // The second request confirms the list by its ETag and does not count against GitHub's limit.
  expect(answers).toEqual([200, 304]);
  expect(await attempts(harness)).toEqual([listed]);
});

test("a job that completes after its long run is loaded: checks during the run do not count", async () => {
  await using harness = await openRepository();
  const { runId } = harness.simulator.control.addRun({ repository, jobs, state: "in_progress" });
  await harness.poll(harness.id, false);
  await harness.query("update archive.attempts set checks = 500, check_due_at = now()");
  await harness.simulator.control.completeRun({ runId, jobs: [{ name: "lint", lagSeconds: 30 }] });
  await harness.poll(harness.id, false);
  expect(await attempts(harness)).toEqual([{ run_attempt: 1, state: "open", check_reason: "lagging" }]);
  expect(await countJobs(harness)).toBe(2);
  harness.simulator.clock.advance(31_000);
  await makeDue(harness);
  await harness.poll(harness.id, false);
  expect(await attempts(harness)).toEqual([listed]);
  expect(await countJobs(harness)).toBe(3);
});

test("a job that does not complete for a day is a gap with its id, which no check run hides", async () => {
  await using harness = await openRepository();
  const { runId, jobIds } = harness.simulator.control.addRun({ repository, jobs, state: "in_progress" });
  await harness.poll(harness.id, false);
  await harness.simulator.control.completeRun({ runId, jobs: [{ name: "lint", lagSeconds: 10 * 86_400 }] });
  await makeDue(harness);
  await harness.poll(harness.id, false);
  await harness.query(
    "update archive.attempts set check_due_at = now(), same_reason_checks = 19, same_reason_since = now() - interval '25 hours'",
  );
  await harness.poll(harness.id, false);
  expect(await attempts(harness)).toEqual([listed]);
  const missing = () => harness.query("select job_id from audit.gaps where kind = 'job_not_loaded' and reason = 'not_completed'");
  expect(await missing()).toEqual([{ job_id: jobIds[2] }]);
  // A job that a webhook reports for the same attempt and that the list lacks.
  await harness.query(`insert into archive.log_jobs (job_id, repository_id, run_id, run_attempt, last_listed_attempt, object, object_source, object_received_at)
    select 5, repository_id, run_id, 1, 1, '{}', 'webhook', now() from archive.log_jobs limit 1`);
  expect(await missing()).toEqual([{ job_id: jobIds[2] }]);
});

test("the 35 days of a re-run count from its start, and never close a completed run", async () => {
  await using harness = await openRepository();
  const { runId } = harness.simulator.control.addRun({ repository, jobs, completedSecondsAgo: 600 });
  harness.simulator.clock.advance(29 * 86_400_000);
  harness.simulator.control.rerun({ runId, state: "in_progress" });
  await harness.poll(harness.id);
  harness.simulator.clock.advance(10 * 86_400_000);
  await harness.poll(harness.id);
  expect((await attempts(harness)).map(({ state }) => state)).toEqual(["listed", "open"]);
  harness.simulator.clock.advance(26 * 86_400_000);
  await harness.poll(harness.id);
  expect((await attempts(harness)).map(({ state }) => state)).toEqual(["listed", "never_completed"]);
  await harness.simulator.control.completeRun({ runId });
  await harness.poll(harness.id);
  expect((await attempts(harness)).map(({ state }) => state)).toEqual(["listed", "listed"]);
});

test.each([403, 410, 502] as const)("a %s for one run's list does not stop the other runs of its repository", async (status) => {
  await using harness = await openRepository();
  const [odd] = Array.from({ length: 9 }, (_, run) =>
    harness.simulator.control.addRun({ repository, jobs, completedSecondsAgo: 600 + run }),
  );
  harness.simulator.control.addFault({ path: `*/runs/${odd?.runId}/*`, times: "forever", lie: { kind: "error", status } });
  expect(await harness.poll(harness.id, false)).toBe("polled");
  expect((await attempts(harness)).filter(({ state }) => state === "listed")).toHaveLength(8);
  expect(await gaps(harness)).toEqual([{ kind: "run_open", reason: "unreadable" }]);
  expect(await harness.query("select problem from archive.repositories")).toEqual([{ problem: null }]);
});

test("consecutive refusals of many runs are the repository's problem and cost few requests", async () => {
  await using harness = await openRepository();
  for (let run = 0; run < 30; run++) harness.simulator.control.addRun({ repository, jobs, completedSecondsAgo: 600 + run });
  harness.simulator.control.addFault({ path: "*/attempts/*/jobs", times: "forever", lie: { kind: "error", status: 403 } });
  await expect(harness.poll(harness.id, false)).rejects.toMatchObject({ code: "github/forbidden" });
  expect(harness.requests().filter((url) => url.includes("/jobs")).length).toBeLessThan(12);
});

test.each(Object.entries(oddJobFields))(
  "a job with its %s does not affect the other jobs of its list, and recovers",
  async (_name, patch) => {
    await using harness = await openRepository();
    harness.simulator.control.addRun({ repository, jobs, completedSecondsAgo: 600 });
    harness.simulator.control.addFault({ ...jobLists, lie: { kind: "odd-object", index: 1, patch } });
    await harness.poll(harness.id, false);
    harness.simulator.control.assertFaultsHit({});
    expect(await countJobs(harness)).toBeGreaterThanOrEqual(2);
    const [attempt] = await attempts(harness);
    // An unusable object is a gap of its own, and its attempt is open.
    const unusable = await harness.query("select kind from audit.gaps where kind = 'object_unusable'");
    expect(unusable).toHaveLength(attempt?.["check_reason"] === "unusable" ? 1 : 0);
    expect([(await countJobs(harness)) === 3, attempt?.["state"] === "open"]).toContain(true);
    await makeDue(harness);
    await harness.poll(harness.id, false);
    expect(await attempts(harness)).toEqual([listed]);
    expect(await countJobs(harness)).toBe(3);
    expect(await harness.query("select from archive.unusable_objects")).toEqual([]);
  },
);
