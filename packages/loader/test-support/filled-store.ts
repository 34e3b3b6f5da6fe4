// A store with every kind of object and its ledger, and faults that interrupt its rebuild.

import { generateKeyPairSync } from "node:crypto";

import { openSigner } from "@actions-archive/archive/seal/seal-key";
import type { Store } from "@actions-archive/archive/store/store";
import { withCalls } from "@actions-archive/archive/test-support/changed-store";
import type { Database } from "@actions-archive/database/connection/open-database";
import { finishCheck } from "@actions-archive/database/ledger/attempts";
import { type JobSnapshot, listUnloadedJobs, recordJobs } from "@actions-archive/database/ledger/log-jobs";
import { failLog } from "@actions-archive/database/ledger/log-states";
import { recordRuns } from "@actions-archive/database/ledger/runs";
import { addWindow, markFullSecond } from "@actions-archive/database/ledger/windows";
import {
  addRepository,
  jobId,
  jobObject,
  repositoryId,
  runId,
  runObject,
  stepObject,
} from "@actions-archive/database/test-support/samples";

import { loadJobs } from "../src/rows/load-jobs.ts";
import { loadRecords } from "../src/rows/load-records.ts";
import { loadRun } from "../src/rows/load-run.ts";
import { sealArchive } from "../src/seal/seal-archive.ts";
import { absent, archived, type Harness } from "./harness.ts";
import { auditorRows, type EmptyDatabase, ledgerRows } from "./rebuilt.ts";

const newKey = () => generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" });
export const newSigner = () => openSigner(newKey());
/** PEM, as SEAL_KEY. */
export const sealKeyPem = newKey();
export const signer = openSigner(sealKeyPem);
export const { publicKey } = signer;

const facts = {
  sections: [{ step_number: 1, first_line: 3, line_count: 10, raw_start: 80, raw_bytes: 800 }],
  action_uses: [{ step_number: 1, action: "Actions/checkout", ref: "v4", sha: "a".repeat(40), line_number: 2, used_at: null }],
  annotations: [{ step_number: 1, level: "error" as const, line_number: 5, message: "no" }],
  token_permissions: { Contents: "read" },
  runner: { version: "2.336.0", cache_mode: "read" },
  locked_actions: true,
};

export async function seal({ loader, ask }: Harness): Promise<void> {
  const [identity] = await ask("select archive_id from archive.identity");
  await sealArchive({ ...loader, archiveId: String(identity?.["archive_id"]), signer });
}

/** Loads what is owed, and writes the run records of listed attempts. */
export async function settle({ loader, ask }: Harness): Promise<void> {
  await loadJobs(loader, await listUnloadedJobs(loader.db, 1000));
  const listed = await ask(
    "select run_id, run_attempt from archive.attempts where state = 'listed' and record_key is null order by 1, 2",
  );
  for (const attempt of listed) await loadRun(loader, attempt as { run_id: number; run_attempt: number });
}

export async function load(
  harness: Harness,
  job_id: number,
  ...[log, changes]: [Parameters<Harness["record"]>[1], Parameters<Harness["record"]>[2]?]
) {
  await loadRecords(harness.loader, [{ job_id, key: await harness.record(job_id, log, changes) }]);
}

export const see = (harness: Harness, snapshots: readonly JobSnapshot[]) =>
  recordJobs(harness.loader.db, repositoryId, snapshots);
const received = async ({ ask }: Harness, job_id: number) =>
  new Date(
    String((await ask(`select object_received_at::text as at from archive.log_jobs where job_id = ${job_id}`))[0]?.["at"]),
  ).toISOString();

/**
 * Every content of an archive: attempts in each state, jobs that a re-run lists again, objects of webhooks and listings, records in
 * several versions, a pending and a failed job, windows with a hole, a renamed repository; some before the first seal, some after.
 */
export async function fill(harness: Harness): Promise<void> {
  const { db } = harness.loader;
  const run = (index: number, changes = {}) =>
    runObject({ id: runId + index, created_at: `2026-05-01T1${index}:00:00Z`, ...changes });
  await recordRuns(db, repositoryId, [run(1), run(2, { status: "in_progress", conclusion: null }), run(3), run(4)]);
  // Run 0: reported by a webhook first, then listed; a re-run lists the passed job again.
  const webhook = jobObject({ steps: [stepObject(1), stepObject(2, { status: "in_progress", conclusion: null })] });
  await see(harness, [{ object: webhook, source: "webhook", listedAttempt: 1 }]);
  await load(harness, jobId, absent, {
    job: webhook as never,
    job_source: "webhook",
    job_received_at: await received(harness, jobId),
  });
  await see(harness, [
    { object: jobObject({ name: "Build" }), source: "listing", listedAttempt: 1 },
    { object: jobObject({ id: jobId + 1, conclusion: "failure" }), source: "listing", listedAttempt: 1 },
  ]);
  await load(harness, jobId, archived(), {
    ...facts,
    job: jobObject({ name: "Build" }) as never,
    job_received_at: await received(harness, jobId),
  });
  await load(harness, jobId + 1, archived(jobId + 1), {
    ...facts,
    job: jobObject({ id: jobId + 1, conclusion: "failure" }) as never,
    job_received_at: await received(harness, jobId + 1),
  });
  await finishCheck(db, { run_id: runId, run_attempt: 1 }, { state: "listed", jobs: 2, missingJobIds: [] });
  await settle(harness);
  await addWindow(db, repositoryId, { start: new Date("2026-04-01T00:00:00Z"), end: new Date("2026-05-01T12:00:00Z") });
  await seal(harness);

  await recordRuns(db, repositoryId, [
    runObject({ run_attempt: 2, updated_at: "2026-05-01T10:20:00Z", actor: { login: "hubot" } }),
  ]);
  const own = { listedAttempt: 2, source: "listing" } as const;
  await see(harness, [
    { object: jobObject({ name: "Build", run_attempt: 2 }), ...own },
    { object: jobObject({ id: jobId + 2, run_attempt: 2 }), ...own },
  ]);
  await finishCheck(db, { run_id: runId, run_attempt: 2 }, { state: "listed", jobs: 3, missingJobIds: [] });
  // Run 1: a pending and a failed job; run 2 is in progress; run 3 vanished; run 4 has no jobs.
  const ofRun1 = { run_id: runId + 1 };
  await see(harness, [
    { object: jobObject({ id: jobId + 10, ...ofRun1 }), source: "listing", listedAttempt: 1 },
    { object: jobObject({ id: jobId + 11, ...ofRun1, steps: null }), source: "listing", listedAttempt: 1 },
    { object: jobObject({ id: jobId + 12, ...ofRun1, conclusion: "skipped" }), source: "webhook", listedAttempt: 1 },
  ]);
  await failLog(db, jobId + 11, "forbidden", "403");
  await finishCheck(db, { run_id: runId + 1, run_attempt: 1 }, { state: "listed", jobs: 4, missingJobIds: [jobId + 13] });
  await finishCheck(db, { run_id: runId + 3, run_attempt: 1 }, { state: "gone" });
  await finishCheck(db, { run_id: runId + 4, run_attempt: 1 }, { state: "listed", jobs: 0, missingJobIds: [] });
  await markFullSecond(db, repositoryId, new Date("2026-04-20T00:00:00Z"));
  await addWindow(db, repositoryId, { start: new Date("2026-05-02T00:00:00Z"), end: new Date("2026-05-03T00:00:00Z") });
  await addRepository(db, repositoryId + 1, "acme/quiet");
  await addWindow(db, repositoryId + 1, { start: new Date("2026-04-01T00:00:00Z"), end: new Date("2026-05-01T12:00:00Z") });
  await harness.ask(`insert into archive.holds (job_id, is_held, reason) values (${jobId}, true, 'case 7')`);
  await settle(harness);
  await seal(harness);
  // Not sealed.
  await load(harness, jobId + 2, absent, {
    job: jobObject({ id: jobId + 2, run_attempt: 2 }) as never,
    run_attempt: 2,
    last_listed_attempt: 2,
    job_received_at: await received(harness, jobId + 2),
  });
}

/** The auditor's rows, and all other rows of the ledger that follow from the store. */
export async function all(database: Pick<EmptyDatabase, "ask">): Promise<{ rows: unknown; ledger: unknown }> {
  return { rows: await auditorRows(database.ask), ledger: await ledgerRows(database.ask) };
}

/** `loader`, whose n-th external call fails: of the database before or after it, of the store before it. */
export function failing({ db, store }: { db: Database; store: Store }, at: number, moment: "before" | "after") {
  let calls = 0;
  const count = (when: "before" | "after") => {
    if (when === "before") calls += 1;
    if (calls === at && when === moment) throw new Error(`crashed ${moment} call ${at}`);
  };
  const watchedDb = db.withPlugin({
    transformQuery({ node }) {
      count("before");
      return node;
    },
    transformResult: async ({ result }) => {
      count("after");
      return result;
    },
  });
  const watchedStore = withCalls(store, ({ make }) => {
    count("before");
    return make();
  });
  return { db: watchedDb, store: watchedStore, calls: () => calls };
}
