// Copies that a webhook reports before any listing: the ledger decides where it can, otherwise GitHub is requested.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

import { openSpool } from "@actions-archive/archive/log/spool";
import { findRecord } from "@actions-archive/archive/record/records";
import { openFolderStore } from "@actions-archive/archive/store/folder/folder-store";
import { createLogger } from "@actions-archive/core/logger";
import { Producer } from "@actions-archive/core/queue";
import { finishCheck } from "@actions-archive/database/ledger/attempts";
import { findLogJob, recordJobs } from "@actions-archive/database/ledger/log-jobs";
import { selectRepositories } from "@actions-archive/database/ledger/repositories";
import { recordRuns } from "@actions-archive/database/ledger/runs";
import { startSimulator } from "@actions-archive/github-simulator/simulator";
import { openGitHub } from "@actions-archive/github/github";
import { parseLogHosts } from "@actions-archive/github/transport/log-hosts";
import { createProcessBudget } from "@actions-archive/github/transport/process-budget";
import { requireRedis } from "@actions-archive/testkit/require-redis";
import { openTestDatabase } from "@actions-archive/testkit/test-database";
import { expect, test } from "vitest";

import { deferIfCopied } from "./defer-if-copied.ts";
import { LogLeases } from "./log-leases.ts";
import type { LogWorker } from "./log-worker.ts";
import { RwLock } from "./rw-lock.ts";

const { signal } = new AbortController();
const log = createLogger("test", "silent");
const repository = "octo-org/api";

async function openWorker() {
  const stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "wait-for-original-"));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const simulator = stack.use(await startSimulator({ scenario: "empty", clockSpeed: 0 }));
  const { id } = simulator.control.addRepository({ repository });
  const { db } = stack.use(await openTestDatabase());
  await selectRepositories(db, [{ repository_id: id, full_name: repository, is_private: false }]);
  const github = stack.use(
    openGitHub({
      apiUrl: new URL(simulator.apiUrl),
      credentials: { kind: "token", token: simulator.token },
      logHosts: parseLogHosts(simulator.logOrigin),
      budget: createProcessBudget(),
      log,
    }),
  );
  const { url, prefix } = requireRedis();
  const worker: LogWorker = {
    logLeases: stack.use(new LogLeases({ db, log })),
    rwLock: new RwLock(),
    db,
    github,
    store: await openFolderStore(pathToFileURL(join(folder, "archive"))),
    spool: await openSpool({ dir: join(folder, "spool"), maxBytes: 1_000 }),
    loadQueue: stack.use(new Producer("load", { url: new URL(url), archiveId: prefix, host: "h" }, log)),
    host: "h",
    log,
    settings: { LOG_WAIT_SECONDS: 0, LOG_SETTLE_SECONDS: 0, MAX_LOG_BYTES: 1 },
  };
  /** Records a job as a webhook does, and returns whether it is deferred. */
  const waits = async (job: Job) => {
    await recordJobs(db, id, [
      { object: { ...times, ...job, status: "completed" }, source: "webhook", listedAttempt: job.run_attempt },
    ]);
    const obligation = await findLogJob(db, job.id);
    if (obligation === undefined) throw new Error("the job is not in the ledger");
    return deferIfCopied(worker, obligation, signal);
  };
  const calls = () =>
    simulator.journal.entries({ origin: "api" }).map(({ url: path }) => path.replace(/^.*\/actions\/([^?]*).*$/, "$1"));
  return { db, id, store: worker.store, simulator, waits, calls, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

type Job = { id: number; run_id: number; run_attempt: number; name: string } & Partial<Record<keyof typeof times, string | null>>;

const times = { runner_name: "runner-1", started_at: "2026-11-01T11:00:00Z", completed_at: "2026-11-01T11:05:00Z" };
const run = { id: 700, status: "in_progress", created_at: "2026-11-01T10:00:00Z", updated_at: "2026-11-01T11:02:00Z" };
const job = { id: 70, run_id: 700, run_attempt: 2, name: "build" };

test("a job of a first attempt, or without a runner or a time, is no copy", async () => {
  await using worker = await openWorker();
  expect(await worker.waits({ ...job, run_attempt: 1 })).toBe(false);
  expect(await worker.waits({ ...job, id: 71, runner_name: null })).toBe(false);
  expect(await worker.waits({ ...job, id: 72, runner_name: "" })).toBe(false);
  expect(await worker.waits({ ...job, id: 73, started_at: null })).toBe(false);
  expect(worker.calls()).toEqual([]);
});

test("a job that ended after its own attempt began is no copy, whatever is listed", async () => {
  await using worker = await openWorker();
  await recordRuns(worker.db, worker.id, [{ ...run, run_attempt: 2, run_started_at: "2026-11-01T11:02:00Z" }]);
  expect(await worker.waits(job)).toBe(false);
  expect(worker.calls()).toEqual([]);
});

test("a job that ended before its attempt began waits only until the earlier attempts are listed", async () => {
  await using worker = await openWorker();
  await recordRuns(worker.db, worker.id, [{ ...run, run_attempt: 2, run_started_at: "2026-11-01T11:30:00Z" }]);
  expect(await worker.waits(job)).toBe(true);
  await finishCheck(worker.db, { run_id: 700, run_attempt: 1 }, { state: "listed", jobs: 0, missingJobIds: [] });
  expect(await worker.waits(job)).toBe(false);
  expect(worker.calls()).toEqual([]);
});

test("a known original decides before any listing", async () => {
  await using worker = await openWorker();
  expect(await worker.waits({ ...job, run_attempt: 1 })).toBe(false);
  const copy = { ...job, id: 75 };
  expect(await worker.waits(copy)).toBe(true);
  await worker.db.updateTable("archive.log_jobs").set({ log_state: "archived" }).where("job_id", "=", 70).execute();
  expect(await worker.waits(copy)).toBe(true);
  const { record_key } = await worker.db
    .selectFrom("archive.log_jobs")
    .select("record_key")
    .where("job_id", "=", 75)
    .executeTakeFirstOrThrow();
  expect(record_key).toMatch(/\/75\.json$/);
  expect(worker.calls()).toEqual([]);
});

test("the log of a copy is not requested when the original's was removed, and is requested when it never existed", async () => {
  await using worker = await openWorker();
  await worker.waits({ ...job, run_attempt: 1 });
  const become = (log_reason: string) =>
    worker.db.updateTable("archive.log_jobs").set({ log_state: "absent", log_reason }).where("job_id", "=", 70).execute();
  await become("deleted");
  expect(await worker.waits({ ...job, id: 75 })).toBe(false);
  await become("removed");
  expect(await worker.waits({ ...job, id: 75 })).toBe(true);
  const record = await findRecord(worker.store, "h", { repository_id: worker.id, run_id: 700, job_id: 75 });
  expect(record?.record.log).toEqual({ state: "absent", reason: "copied", copied_from: 70 });
  expect(worker.calls()).toEqual([]);
});

test("the log of a copy whose original failed is requested, unless the original's own original is archived", async () => {
  await using worker = await openWorker();
  await worker.waits({ ...job, run_attempt: 1 });
  const become = (jobId: number, log_state: string) =>
    worker.db.updateTable("archive.log_jobs").set({ log_state, log_reason: null }).where("job_id", "=", jobId).execute();
  await become(70, "failed");
  expect(await worker.waits({ ...job, id: 75 })).toBe(false);
  await become(75, "archived");
  expect(await worker.waits({ ...job, id: 79, run_attempt: 3 })).toBe(true);
  const record = await findRecord(worker.store, "h", { repository_id: worker.id, run_id: 700, job_id: 79 });
  expect(record?.record.log).toEqual({ state: "absent", reason: "copied", copied_from: 75 });
  expect(worker.calls()).toEqual([]);
});

test("the waits of a copy double from three seconds to five minutes", async () => {
  await using worker = await openWorker();
  await worker.waits({ ...job, run_attempt: 1 });
  const waits: number[] = [];
  for (let tries = 0; tries < 10; tries++) {
    expect(await worker.waits({ ...job, id: 75 })).toBe(true);
    const { due_at } = await worker.db
      .selectFrom("archive.log_jobs")
      .select("due_at")
      .where("job_id", "=", 75)
      .executeTakeFirstOrThrow();
    waits.push(Math.round((due_at.getTime() - Date.now()) / 1000));
  }
  expect(waits).toEqual([3, 6, 12, 24, 48, 96, 192, 300, 300, 300]);
});

test("the log of a job whose earlier attempts are not listed after an hour is requested", async () => {
  await using worker = await openWorker();
  await recordRuns(worker.db, worker.id, [{ ...run, run_attempt: 2, run_started_at: "2026-11-01T11:30:00Z" }]);
  expect(await worker.waits(job)).toBe(true);
  const firstSeen = (minutesAgo: number) =>
    worker.db
      .updateTable("archive.log_jobs")
      .set({ first_seen_at: new Date(Date.now() - minutesAgo * 60_000) })
      .execute();
  await firstSeen(58);
  expect(await worker.waits(job)).toBe(true);
  await firstSeen(61);
  expect(await worker.waits(job)).toBe(false);
});

test("an unknown run is requested once, which gives the start of its attempt", async () => {
  await using worker = await openWorker();
  const { simulator } = worker;
  const { runId } = simulator.control.addRun({ repository, completedSecondsAgo: 60 });
  simulator.control.rerun({ runId, state: "in_progress" });
  const later = new Date(simulator.clock.nowMs() + 60_000).toISOString();
  expect(await worker.waits({ ...job, run_id: runId, completed_at: later })).toBe(false);
  expect(await worker.waits({ ...job, id: 76, run_id: runId })).toBe(true);
  expect(await worker.waits({ ...job, id: 76, run_id: runId })).toBe(true);
  expect(worker.calls()).toEqual([`runs/${runId}`]);
});

test("a job whose run is gone is no copy", async () => {
  await using worker = await openWorker();
  expect(await worker.waits({ ...job, run_id: 123_456 })).toBe(false);
});
