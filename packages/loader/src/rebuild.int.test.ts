// A database that is rebuilt from the store has what the lost one had, wherever the rebuilding was cut short.

import { generateKeyPairSync } from "node:crypto";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { canonicalBytes } from "@actions-archive/archive/canonical-bytes";
import { parseSeal, signSeal } from "@actions-archive/archive/seal-envelope";
import { openSigner } from "@actions-archive/archive/seal-key";
import type { Store } from "@actions-archive/archive/store";
import { PermanentError } from "@actions-archive/core/errors";
import { recordKey, runRecordKey, sealKey } from "@actions-archive/core/object-key";
import { finishVisit } from "@actions-archive/database/attempts";
import { failLog } from "@actions-archive/database/log-states";
import { type JobSighting, listUnloadedJobs, recordJobs } from "@actions-archive/database/obligations";
import type { Database } from "@actions-archive/database/open-database";
import { listRefusals } from "@actions-archive/database/rebuild-progress";
import { listSelectedRepositories } from "@actions-archive/database/repositories";
import { recordRuns } from "@actions-archive/database/runs";
import {
  addRepository,
  jobId,
  jobObject,
  repositoryId,
  runId,
  runObject,
  stepObject,
} from "@actions-archive/database/samples.test-support";
import { addWindow, markFullSecond } from "@actions-archive/database/windows";
import { expect, test } from "vitest";

import { absent, archived, type Bench, host, openBench } from "./bench.test-support.ts";
import { loadJobs } from "./load-jobs.ts";
import { loadRecords } from "./load-records.ts";
import { loadRun } from "./load-run.ts";
import { rebuild } from "./rebuild.ts";
import { auditorRows, type EmptyDatabase, ledgerRows, openEmptyDatabase, rebuildInto } from "./rebuilt.test-support.ts";
import { sealArchive } from "./seal-archive.ts";

const newSigner = () => openSigner(generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" }));
const signer = newSigner();
const { publicKey } = signer;

const facts = {
  sections: [{ step_number: 1, first_line: 3, line_count: 10, raw_start: 80, raw_bytes: 800 }],
  action_uses: [{ step_number: 1, action: "Actions/checkout", ref: "v4", sha: "a".repeat(40), line_number: 2, used_at: null }],
  annotations: [{ step_number: 1, level: "error" as const, line_number: 5, message: "no" }],
  token_permissions: { Contents: "read" },
  runner: { version: "2.330.0" },
};

async function seal({ loader, ask }: Bench): Promise<void> {
  const [identity] = await ask("select archive_id from archive.identity");
  await sealArchive({ ...loader, archiveId: String(identity?.["archive_id"]), signer });
}

/** Loads what is owed, and writes the run records of what is listed. */
async function settle({ loader, ask }: Bench): Promise<void> {
  await loadJobs(loader, await listUnloadedJobs(loader.db, 1000));
  const listed = await ask(
    "select run_id, run_attempt from archive.attempts where state = 'listed' and record_key is null order by 1, 2",
  );
  for (const attempt of listed) await loadRun(loader, attempt as { run_id: number; run_attempt: number });
}

async function load(
  bench: Bench,
  job_id: number,
  ...[log, changes]: [Parameters<Bench["record"]>[1], Parameters<Bench["record"]>[2]?]
) {
  await loadRecords(bench.loader, [{ job_id, key: await bench.record(job_id, log, changes) }]);
}

const see = (bench: Bench, sightings: readonly JobSighting[]) => recordJobs(bench.loader.db, repositoryId, sightings);
const received = async ({ ask }: Bench, job_id: number) =>
  new Date(
    String((await ask(`select object_received_at::text as at from archive.obligations where job_id = ${job_id}`))[0]?.["at"]),
  ).toISOString();

/**
 * All that an archive may hold: attempts in each state, jobs that a re-run lists again, objects of webhooks and listings, records in several
 * versions, a job that waits and one that failed, windows with a hole, a renamed repository; some of it before the first seal, some after.
 */
async function fill(bench: Bench): Promise<void> {
  const { db } = bench.loader;
  const run = (index: number, changes = {}) =>
    runObject({ id: runId + index, created_at: `2026-05-01T1${index}:00:00Z`, ...changes });
  await recordRuns(db, repositoryId, [run(1), run(2, { status: "in_progress", conclusion: null }), run(3), run(4)]);
  // Run 0: told by a webhook first, then listed; a re-run lists the passed job again.
  const webhook = jobObject({ steps: [stepObject(1), stepObject(2, { status: "in_progress", conclusion: null })] });
  await see(bench, [{ object: webhook, source: "webhook", listedAttempt: 1 }]);
  await load(bench, jobId, absent, {
    job: webhook as never,
    job_source: "webhook",
    job_received_at: await received(bench, jobId),
  });
  await see(bench, [
    { object: jobObject({ name: "Build" }), source: "listing", listedAttempt: 1 },
    { object: jobObject({ id: jobId + 1, conclusion: "failure" }), source: "listing", listedAttempt: 1 },
  ]);
  await load(bench, jobId, archived(), {
    ...facts,
    job: jobObject({ name: "Build" }) as never,
    job_received_at: await received(bench, jobId),
  });
  await load(bench, jobId + 1, archived(jobId + 1), {
    ...facts,
    job: jobObject({ id: jobId + 1, conclusion: "failure" }) as never,
    job_received_at: await received(bench, jobId + 1),
  });
  await finishVisit(db, { run_id: runId, run_attempt: 1 }, { state: "listed", jobs: 2 });
  await settle(bench);
  await addWindow(db, repositoryId, { start: new Date("2026-04-01T00:00:00Z"), end: new Date("2026-05-01T12:00:00Z") });
  await seal(bench);

  await recordRuns(db, repositoryId, [
    runObject({ run_attempt: 2, updated_at: "2026-05-01T10:20:00Z", actor: { login: "hubot" } }),
  ]);
  const own = { listedAttempt: 2, source: "listing" } as const;
  await see(bench, [
    { object: jobObject({ name: "Build", run_attempt: 2 }), ...own },
    { object: jobObject({ id: jobId + 2, run_attempt: 2 }), ...own },
  ]);
  await finishVisit(db, { run_id: runId, run_attempt: 2 }, { state: "listed", jobs: 3 });
  // Run 1: a job that waits for its log, and one that failed; run 2 goes on; run 3 vanished; run 4 has no jobs.
  const ofRun1 = { run_id: runId + 1 };
  await see(bench, [
    { object: jobObject({ id: jobId + 10, ...ofRun1 }), source: "listing", listedAttempt: 1 },
    { object: jobObject({ id: jobId + 11, ...ofRun1, steps: null }), source: "listing", listedAttempt: 1 },
    { object: jobObject({ id: jobId + 12, ...ofRun1, conclusion: "skipped" }), source: "webhook", listedAttempt: 1 },
  ]);
  await failLog(db, jobId + 11, "forbidden", "403");
  await finishVisit(db, { run_id: runId + 1, run_attempt: 1 }, { state: "listed", jobs: 3 });
  await finishVisit(db, { run_id: runId + 3, run_attempt: 1 }, { state: "gone" });
  await finishVisit(db, { run_id: runId + 4, run_attempt: 1 }, { state: "listed", jobs: 0 });
  await markFullSecond(db, repositoryId, new Date("2026-04-20T00:00:00Z"));
  await addWindow(db, repositoryId, { start: new Date("2026-05-02T00:00:00Z"), end: new Date("2026-05-03T00:00:00Z") });
  await addRepository(db, repositoryId + 1, "acme/quiet");
  await addWindow(db, repositoryId + 1, { start: new Date("2026-04-01T00:00:00Z"), end: new Date("2026-05-01T12:00:00Z") });
  await bench.ask(`insert into archive.holds (job_id, is_held, reason) values (${jobId}, true, 'case 7')`);
  await settle(bench);
  await seal(bench);
  // In no seal.
  await load(bench, jobId + 2, absent, {
    job: jobObject({ id: jobId + 2, run_attempt: 2 }) as never,
    run_attempt: 2,
    last_listed_attempt: 2,
    job_received_at: await received(bench, jobId + 2),
  });
}

async function all(database: Pick<EmptyDatabase, "ask">): Promise<{ rows: unknown; ledger: unknown }> {
  return { rows: await auditorRows(database.ask), ledger: await ledgerRows(database.ask) };
}

test("everything that a seal or a record holds is there again, and a second call changes nothing", async () => {
  await using bench = await openBench();
  await fill(bench);
  await using empty = await openEmptyDatabase();
  const state = await rebuildInto(empty, bench, { publicKey });
  expect(state).toMatchObject({ phase: "done", jobs: 6, objects_read: 8, objects_listed: 8 });
  expect(await all(empty)).toEqual(await all(bench));
  expect(await listRefusals(empty.db, 10)).toEqual([]);
  expect(await rebuildInto(empty, bench, { publicKey })).toEqual(state);
});

/** `loader`, whose n-th call to the outside fails: of the database before or after it, of the store before it. */
function failing({ db, store }: { db: Database; store: Store }, at: number, moment: "before" | "after") {
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
  const watchedStore = new Proxy(store, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== "function") return member;
      return (...args: unknown[]): unknown => {
        count("before");
        return Reflect.apply(member, target, args);
      };
    },
  });
  return { db: watchedDb, store: watchedStore, calls: () => calls };
}

test("cut short at any call and begun again, the database is the same", { timeout: 600_000 }, async () => {
  await using bench = await openBench();
  await fill(bench);
  const expected = await all(bench);
  const options = { publicKey, signal: new AbortController().signal, batchObjects: 3 };
  let crashes = 0;
  for (const moment of ["before", "after"] as const) {
    // Every seventh call, beginning with another one each time.
    for (let at = moment === "before" ? 1 : 4; ; at += 7) {
      await using empty = await openEmptyDatabase();
      const doomed = failing({ db: empty.db, store: bench.loader.store }, at, moment);
      const outcome = await rebuild({ ...bench.loader, ...doomed }, options).catch((error: unknown) => error);
      if (doomed.calls() < at) break;
      if (outcome instanceof Error) crashes += 1;
      await rebuild({ ...bench.loader, db: empty.db }, options);
      expect(await all(empty), `after a crash ${moment} call ${at}`).toEqual(expected);
    }
  }
  expect(crashes).toBeGreaterThan(20);
});

test("stopped after every batch, it goes on where it was and does none twice", async () => {
  await using bench = await openBench();
  await fill(bench);
  await using empty = await openEmptyDatabase();
  const positions: string[] = [];
  for (let call = 0; ; call += 1) {
    const stop = new AbortController();
    const outcome = await rebuild(
      { ...bench.loader, db: empty.db },
      {
        publicKey,
        signal: stop.signal,
        batchObjects: 1,
        onProgress({ phase, position, objects_listed }) {
          positions.push(`${phase} ${position} ${objects_listed}`);
          stop.abort(new Error("stopped"));
        },
      },
    ).catch((error: unknown) => error);
    if (!(outcome instanceof Error)) break;
    expect(outcome.message).toBe("stopped");
  }
  expect(positions).toEqual([...new Set(positions)]);
  expect(await all(empty)).toEqual(await all(bench));
});

async function damage({ loader }: Bench, key: string, text: string | undefined): Promise<void> {
  const path = join(fileURLToPath(loader.store.url), key);
  if (text === undefined) await rm(path);
  else await writeFile(path, text);
}

test("what is damaged, changed since it was sealed, or missing is passed over and listed, and all else is loaded", async () => {
  await using bench = await openBench();
  await fill(bench);
  const ref = { repository_id: repositoryId, run_id: runId };
  const [torn, changed, foreign, missing] = [
    recordKey(host, { ...ref, job_id: jobId + 2 }, 1),
    recordKey(host, { ...ref, job_id: jobId + 1 }, 1),
    runRecordKey(host, { ...ref, run_attempt: 2 }),
    runRecordKey(host, { ...ref, run_id: runId + 4, run_attempt: 1 }),
  ];
  const text = async (key: string) => (await bench.loader.store.read(key))?.toString("utf8") ?? "";
  await damage(bench, torn, (await text(torn)).slice(0, 100));
  await damage(bench, changed, (await text(changed)).replace('"lines":12', '"lines":13'));
  await damage(bench, foreign, (await text(foreign)).replaceAll(`${runId}`, `${runId + 9}`));
  await damage(bench, missing, undefined);
  await using empty = await openEmptyDatabase();
  await rebuildInto(empty, bench, { publicKey });
  expect((await listRefusals(empty.db, 10)).toSorted((a, b) => (a.object_key < b.object_key ? -1 : 1))).toEqual([
    { object_key: changed, problem: "its bytes are not those that seal 1 holds" },
    { object_key: torn, problem: expect.stringContaining("it was changed, or a newer version wrote it") },
    { object_key: foreign, problem: expect.stringContaining("is not the run record of its key") },
    { object_key: missing, problem: "seal 2 holds it, and it is not in the store" },
  ]);
  expect(await empty.ask("select job_id::bigint, log_state from audit.jobs order by 1")).toEqual([
    { job_id: jobId, log_state: "archived" },
    { job_id: jobId + 1, log_state: "pending" },
    { job_id: jobId + 10, log_state: "pending" },
    { job_id: jobId + 11, log_state: "pending" },
    { job_id: jobId + 12, log_state: "pending" },
  ]);
  // What is not known any more is owed, not complete.
  expect(await empty.ask("select run_id, run_attempt, state from archive.attempts where state = 'open' order by 1, 2")).toEqual([
    { run_id: runId, run_attempt: 2, state: "open" },
    { run_id: runId + 2, run_attempt: 1, state: "open" },
    { run_id: runId + 4, run_attempt: 1, state: "open" },
  ]);
});

test("a job that no table takes is unloadable, and those of its batch are loaded", async () => {
  await using bench = await openBench();
  await fill(bench);
  await using empty = await openEmptyDatabase();
  await empty.ask(`alter table archive.jobs add constraint picky check (job_id <> ${jobId + 12})`);
  await rebuildInto(empty, bench, { publicKey });
  expect(await empty.ask("select job_id, log_reason from archive.obligations where log_state = 'failed'")).toEqual([
    { job_id: jobId + 12, log_reason: "unloadable" },
  ]);
  expect(await empty.ask("select count(*)::integer as jobs from archive.jobs")).toEqual([{ jobs: 5 }]);
  expect(await listRefusals(empty.db, 10)).toEqual([]);
});

test("without a key for the end of the chain it is followed by its hashes, and another's key is refused", async () => {
  await using bench = await openBench();
  await fill(bench);
  const other = newSigner();
  await using refused = await openEmptyDatabase();
  await expect(rebuildInto(refused, bench, { publicKey: other.publicKey })).rejects.toThrow(`SEAL_KEY holds ${other.keyId}`);
  await using empty = await openEmptyDatabase();
  await rebuildInto(empty, bench);
  expect(await all(empty)).toEqual(await all(bench));
});

test("a chain with another seal in it is refused before anything is read", async () => {
  await using bench = await openBench();
  await fill(bench);
  const { seal: first } = parseSeal((await bench.loader.store.read(sealKey(1))) ?? Buffer.alloc(0), "seal 1");
  const other = await signSeal(canonicalBytes({ ...first, sealed_at: "2026-05-01T00:00:00.000Z" }), signer);
  await damage(bench, sealKey(1), other.toString("utf8"));
  await using empty = await openEmptyDatabase();
  await expect(rebuildInto(empty, bench, { publicKey })).rejects.toThrow(
    /000000000001\.json .* is not the one that the next seal/,
  );
  expect(await empty.ask("select from archive.jobs")).toEqual([]);
});

test("without seals no window is known, and nothing is complete", async () => {
  await using bench = await openBench();
  await fill(bench);
  await rm(join(fileURLToPath(bench.loader.store.url), "seals"), { recursive: true });
  await using empty = await openEmptyDatabase();
  await rebuildInto(empty, bench);
  expect(await auditorRows(empty.ask)).toEqual(await auditorRows(bench.ask));
  expect(await empty.ask("select from audit.coverage")).toEqual([]);
  expect(await empty.ask("select kind from audit.gaps where kind = 'window_open'")).toHaveLength(1);
});

test("a database that a worker has written into is refused, and so is a store that is no archive or another one", async () => {
  await using bench = await openBench();
  await fill(bench);
  await expect(rebuildInto(bench.loader, bench)).rejects.toThrow(PermanentError);
  await using other = await openBench();
  await using empty = await openEmptyDatabase();
  await rebuildInto(empty, other);
  await expect(rebuildInto(empty, bench)).rejects.toThrow(/belongs to archive .* the store at ARCHIVE_URL to archive/);
  await damage(other, "archive.json", undefined);
  await expect(rebuildInto(empty, other)).rejects.toThrow("There is no archive at file:///");
  expect(await Array.fromAsync(other.loader.store.list(""))).toEqual([]);
});

test("the chain goes on after a rebuild, and a second loss and rebuild end in the same", async () => {
  await using bench = await openBench();
  await fill(bench);
  await using first = await openEmptyDatabase();
  await rebuildInto(first, bench, { publicKey });
  const onFirst = { ...bench, ask: first.ask, loader: { ...bench.loader, db: first.db } };
  await see(onFirst, [{ object: jobObject({ id: jobId + 20, run_id: runId + 2 }), source: "listing", listedAttempt: 1 }]);
  const ended = runObject({ id: runId + 2, created_at: "2026-05-01T12:00:00Z", updated_at: "2026-05-01T12:30:00Z" });
  await recordRuns(first.db, repositoryId, [ended]);
  await finishVisit(first.db, { run_id: runId + 2, run_attempt: 1 }, { state: "listed", jobs: 1 });
  await settle(onFirst);
  await seal(onFirst);
  await using second = await openEmptyDatabase();
  await rebuildInto(second, bench, { publicKey });
  expect(await all(second)).toEqual(await all(first));
  expect(await second.ask("select sequence from archive.seals order by 1")).toEqual([
    { sequence: 1 },
    { sequence: 2 },
    { sequence: 3 },
  ]);
});

test("two processes do not rebuild one database at once", async () => {
  await using bench = await openBench();
  await fill(bench);
  await using empty = await openEmptyDatabase();
  const outcomes = await Promise.allSettled([rebuildInto(empty, bench), rebuildInto(empty, bench)]);
  expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  expect(outcomes.map((outcome) => (outcome.status === "rejected" ? String(outcome.reason) : ""))).toContainEqual(
    expect.stringContaining("Another process is rebuilding this database"),
  );
});

test("repositories have their newest name and are selected until a fetcher looks; the look back begins before the last window's end", async () => {
  await using bench = await openBench();
  await fill(bench);
  const later = { repository: "acme/renamed", decided_at: new Date().toISOString() };
  await load(bench, jobId + 1, archived(jobId + 1), later);
  await using empty = await openEmptyDatabase();
  await rebuildInto(empty, bench);
  expect(await listSelectedRepositories(empty.db)).toMatchObject([
    { full_name: "acme/renamed", archive_since: null, rescanned_at: new Date("2026-05-02T00:00:00Z") },
    { full_name: "acme/quiet", archive_since: null, rescanned_at: new Date("2026-04-30T12:00:00Z") },
  ]);
});
