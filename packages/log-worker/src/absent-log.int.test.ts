// Classification of missing logs: decided in a fixed order, only after the wait, never because of lost access, and checked again
// once.

import { recordTerminalStates } from "@actions-archive/database/ledger/log-states";
import { upsertJobs, upsertLogs } from "@actions-archive/database/rows/rows";
import { logSha256 } from "@actions-archive/github-simulator/log/log-content";
import type { Job } from "@actions-archive/github-simulator/world/model";
import { expect, test } from "vitest";

import { type Harness, type JobAt, openHarness, repositoryName } from "../test-support/harness.ts";

const none = { kind: "not-found" } as const;

async function logReasonOf({ recordOf }: Harness, job: Job): Promise<string | undefined> {
  const log = (await recordOf(job))?.log;
  return log?.state === "absent" ? log.reason : log?.state;
}

test.each([
  ["404", { log: none }],
  ["a missing blob", { log: { kind: "blob-missing" } }],
  ["zero bytes", { log: { kind: "text", content: Buffer.alloc(0) } }],
] satisfies [string, Partial<JobAt>][])("%s for a young job is retried", async (_answer, draft) => {
  await using harness = await openHarness();
  const job = await harness.addJob({ agoMs: 20_000, ...draft });
  await harness.deliver(job);
  const { due, ...state } = await harness.stateOf(job);
  expect(state).toMatchObject({ log_state: "pending", log_reason: null, tries: 1 });
  expect(due).toBeGreaterThan(0);
  expect(due).toBeLessThan(10);
  expect(await harness.recordOf(job)).toBeUndefined();
});

test("a young job's log that appears later is archived", async () => {
  await using harness = await openHarness({ simulator: { logDelaySeconds: 60 } });
  const job = await harness.addJob({ agoMs: 20_000 });
  await harness.deliver(job);
  expect(await harness.recordOf(job)).toBeUndefined();
  harness.simulator.control.advanceClock({ ms: 60_000 });
  await harness.deliver(job);
  expect((await harness.recordOf(job))?.log).toMatchObject({ state: "archived", raw_sha256: await logSha256(job) });
});

test("a log's age is measured by GitHub's clock, not by this machine's", async () => {
  await using harness = await openHarness();
  const job = await harness.addJob({ agoMs: 20_000, log: none });
  harness.simulator.control.advanceClock({ ms: 700_000 });
  await harness.deliverTwice(job);
  expect(await logReasonOf(harness, job)).toBe("deleted");
});

test("a job without an end is as old as its object", async () => {
  await using harness = await openHarness();
  const job = await harness.addJob({ log: none, overrides: { completed_at: null } });
  await harness.deliver(job);
  expect(await harness.stateOf(job)).toMatchObject({ log_state: "pending" });
  expect(await harness.recordOf(job)).toBeUndefined();
  await harness.query("update archive.log_jobs set object_received_at = now() - interval '1 hour'");
  await harness.deliverTwice(job);
  expect(await logReasonOf(harness, job)).toBe("deleted");
});

test.each([{}, { framing: "chunked" as const }])("zero bytes of an old job are empty (%j)", async (fault) => {
  await using harness = await openHarness();
  const job = await harness.addJob({ log: { kind: "text", content: Buffer.alloc(0) } });
  harness.simulator.faults.add({ origin: "log", ...fault });
  await harness.deliverTwice(job);
  expect(await logReasonOf(harness, job)).toBe("empty");
  expect(await harness.listKeys("logs/")).toEqual([]);
});

test.each([
  ["cancelled before a runner came", { conclusion: "cancelled", labels: ["ubuntu-24.04"] }, "not_run"],
  ["cancelled without labels", { conclusion: "cancelled" }, "not_run"],
  ["failed with labels and without a runner", { labels: ["gpu"] }, "not_run"],
  ["a runner with the id 0", { labels: ["gpu"], overrides: { runner_id: 0 } }, "not_run"],
  ["a check run that is listed as a job", { conclusion: "neutral" }, "not_a_job"],
  ["a missing field, which decides nothing", { conclusion: "cancelled", overrides: { runner_id: undefined } }, "deleted"],
  ["missing steps, which decide nothing", { conclusion: "cancelled", overrides: { steps: undefined } }, "deleted"],
] satisfies [string, Partial<JobAt>, string][])("no runner: %s", async (_kind, draft, reason) => {
  await using harness = await openHarness();
  const job = await harness.addJob({ isWithoutRunner: true, ...draft });
  await harness.deliver(job);
  if (reason === "deleted") await harness.deliverTwice(job);
  expect(await logReasonOf(harness, job)).toBe(reason);
  const looked = harness.requests().some((path) => path === `api /repos/${repositoryName}`);
  expect(looked).toBe(reason === "deleted");
});

test("no access: a missing log of an unreadable repository is no_access, not deleted", async () => {
  await using harness = await openHarness();
  const job = await harness.addJob();
  harness.simulator.control.hideRepository({ repository: repositoryName });
  await harness.deliverTwice(job);
  expect(await harness.stateOf(job)).toMatchObject({ log_state: "failed", log_reason: "no_access" });
  expect(await harness.recordOf(job)).toBeUndefined();
});

test.each([403, 404])("no access: a run list that answers %i means no_access", async (status) => {
  await using harness = await openHarness();
  const job = await harness.addJob({ log: none });
  harness.simulator.faults.add({ path: "*/actions/runs", status, body: `{"message":"Resource not accessible by integration"}` });
  await harness.deliverTwice(job);
  expect(await harness.stateOf(job)).toMatchObject({ log_state: "failed", log_reason: "no_access" });
});

test("no access: another repository under the name means no_access", async () => {
  await using harness = await openHarness();
  const job = await harness.addJob();
  harness.simulator.control.hideRepository({ repository: repositoryName });
  harness.simulator.control.addRepository({ repository: repositoryName });
  await harness.deliverTwice(job);
  const { log_reason, log_detail } = await harness.stateOf(job);
  expect(log_reason).toBe("no_access");
  expect(log_detail).toContain(`is now another repository`);
});

const day = 86_400_000;

test.each([
  ["the endpoint's answer", "log_retention_days = 7", 8, "expired"],
  ["the endpoint's answer, not reached", "log_retention_days = 400, youngest_gone_seconds = 60", 100, "deleted"],
  ["the youngest 410, where the endpoint gives nothing", "youngest_gone_seconds = 86400", 2, "expired"],
  ["GitHub's 90 days, where nothing is known", "log_retention_days = null", 91, "expired"],
  ["GitHub's 90 days, not reached", "log_retention_days = null", 89, "deleted"],
])("older than the retention by %s", async (_source, facts, days, reason) => {
  await using harness = await openHarness({ simulator: { retentionDays: 400 } });
  harness.repository.retentionDays = 400;
  await harness.query(`update archive.repositories set ${facts}`);
  const job = await harness.addJob({ agoMs: days * day, log: none });
  await harness.deliverTwice(job);
  expect(await logReasonOf(harness, job)).toBe(reason);
});

test("deleted: an old missing blob is deleted, although the job is still readable", async () => {
  await using harness = await openHarness();
  const job = await harness.addJob({ log: { kind: "blob-missing" } });
  await harness.deliverTwice(job);
  expect(await logReasonOf(harness, job)).toBe("deleted");
});

test("forbidden: a 403 that is no rate limit is forbidden at the first attempt", async () => {
  await using harness = await openHarness();
  const job = await harness.addJob();
  harness.simulator.faults.add({ path: "*/logs", status: 403, body: `{"message":"Must have admin rights to Repository."}` });
  await harness.deliver(job);
  expect(await harness.stateOf(job)).toMatchObject({ log_state: "failed", log_reason: "forbidden" });
  expect(await harness.query("select from archive.credentials where paused_until > now()")).toEqual([]);
});

test("credential paused: 401 pauses the credential, and the job stays pending", async () => {
  await using harness = await openHarness();
  const job = await harness.addJob();
  harness.simulator.control.revokeToken({ token: harness.simulator.token });
  await harness.deliver(job, { isLastAttempt: true });
  expect(await harness.stateOf(job)).toMatchObject({ log_state: "pending", log_reason: null });
  expect(await harness.query("select credential from archive.credentials where paused_until > now()")).toEqual([
    { credential: "token" },
  ]);
  await expect(harness.deliver(job)).rejects.toMatchObject({ code: "github/rate-limited" });
});

test("credential paused: 403 on the repository itself pauses the credential, and the job stays pending", async () => {
  await using harness = await openHarness();
  const job = await harness.addJob({ log: none });
  harness.simulator.faults.add({
    path: `/repos/${repositoryName}`,
    status: 403,
    body: `{"message":"Resource protected by SAML"}`,
  });
  await harness.deliver(job);
  harness.simulator.control.advanceClock({ ms: 60_000 });
  await harness.deliver(job, { isLastAttempt: true });
  expect(await harness.stateOf(job)).toMatchObject({ log_state: "pending", log_reason: null });
  expect(await harness.query("select credential from archive.credentials where paused_until > now()")).toEqual([
    { credential: "token" },
  ]);
});

test("a job that failed before is expired once its log is", async () => {
  await using harness = await openHarness();
  const job = await harness.addJob({ agoMs: 91 * day, log: none });
  await harness.query("update archive.log_jobs set log_state = 'failed', log_reason = 'incomplete'");
  await harness.deliverTwice(job);
  expect(await logReasonOf(harness, job)).toBe("expired");
});

/** A job whose log was recorded as deleted, and whose recheck is due. */
async function openSecondLook() {
  const harness = await openHarness();
  const job = await harness.addJob({ log: none });
  await harness.deliverTwice(job);
  const { object } = (await harness.query("select object from archive.log_jobs"))[0] ?? {};
  const [key = ""] = await harness.listKeys("records/");
  await harness.worker.db.transaction().execute(async (trx) => {
    await upsertJobs(trx, [{ repository_id: harness.repository.id, run_attempt: 1, last_listed_attempt: 1, object }]);
    const nothing = {
      log_key: null,
      log_version_id: null,
      raw_bytes: null,
      raw_sha256: null,
      stored_bytes: null,
      stored_sha256: null,
    };
    const noTimes = { lines: null, first_line_at: null, last_line_at: null, archived_at: null };
    const record = {
      record_key: key,
      record_version: 1,
      record_sha256: "0".repeat(64),
      extraction_version: null,
      object_steps: null,
    };
    const state = { job_id: job.id, log_state: "absent", log_reason: "deleted" } as const;
    await upsertLogs(trx, [{ ...state, log_flags: [], copied_from_job_id: null, ...nothing, ...noTimes, ...record }]);
    await recordTerminalStates(trx, [job.id]);
  });
  await harness.query("update archive.log_jobs set recheck_at = now()");
  harness.simulator.control.clearJournal({});
  return { ...harness, job };
}

const checkAgain = ({ query }: Harness) =>
  query("select log_state, recheck_at > now() as later, recheck_at is null as done from archive.log_jobs");

test("a log recorded as deleted that a recheck finds is archived as a further version of the record", async () => {
  await using harness = await openSecondLook();
  harness.job.log = { kind: "generated", bytes: 5_000, style: { ...plainStyle } };
  await harness.deliver(harness.job);
  expect((await harness.recordOf(harness.job))?.log).toMatchObject({
    state: "archived",
    raw_sha256: await logSha256(harness.job),
  });
  expect(await harness.listKeys("records/")).toHaveLength(2);
});

test("a log still missing at its recheck stays deleted, and is checked again a day later", async () => {
  await using harness = await openSecondLook();
  await harness.deliver(harness.job);
  expect(harness.requests().filter((path) => path.endsWith("/logs"))).toHaveLength(1);
  expect(await checkAgain(harness)).toEqual([{ log_state: "absent", later: true, done: false }]);
  expect(await harness.listKeys("records/")).toHaveLength(1);
});

test.each([
  ["an unreadable repository", "no access"],
  ["a forbidden log", "forbidden"],
])("a recheck that meets %s is deferred, and no log is failed", async (_what, problem) => {
  await using harness = await openSecondLook();
  if (problem === "no access") harness.simulator.control.hideRepository({ repository: repositoryName });
  else harness.simulator.faults.add({ path: "*/logs", status: 403, body: `{"message":"Must have admin rights to Repository."}` });
  await harness.deliver(harness.job);
  expect(await checkAgain(harness)).toEqual([{ log_state: "absent", later: true, done: false }]);
});

test("a recheck does not run before it is due, whatever the queue delivers", async () => {
  await using harness = await openSecondLook();
  await harness.query("update archive.log_jobs set recheck_at = now() + interval '1 day'");
  await harness.deliver(harness.job);
  expect(harness.requests()).toEqual([]);
  expect(await checkAgain(harness)).toEqual([{ log_state: "absent", later: true, done: false }]);
});

const plainStyle = {
  bom: false,
  crlf: false,
  nul: false,
  untimedLines: false,
  finalNewline: true,
  waitingLines: false,
  endMarker: true,
  longLine: 0,
  nestedGroups: false,
};

test("a log of a renamed repository whose old name is taken is requested under the new name", async () => {
  await using harness = await openHarness();
  const job = await harness.addJob();
  harness.simulator.control.moveRepository({ repository: repositoryName, name: "renamed" });
  harness.simulator.control.addRepository({ repository: repositoryName });
  await harness.deliverTwice(job);
  expect(await harness.stateOf(job)).toMatchObject({ log_state: "pending" });
  expect(await harness.query("select full_name from archive.repositories")).toEqual([{ full_name: "acme/renamed" }]);
  await harness.deliver(job);
  expect(await harness.recordOf(job)).toMatchObject({ repository: "acme/renamed", log: { state: "archived" } });
});
