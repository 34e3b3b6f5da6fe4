// An archive like a loader leaves it after weeks, in its own folder and database: records in several versions, conflicting logs, removed
// and repaired logs, holds, gaps, a new sealing key, and seals over all of it.

import { createHash, type KeyObject } from "node:crypto";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

import { putLog } from "@actions-archive/archive/log/logs";
import { openArchive } from "@actions-archive/archive/open-archive";
import type { LogRecord } from "@actions-archive/archive/record/record";
import { putRecord } from "@actions-archive/archive/record/records";
import { openSigner, type Signer } from "@actions-archive/archive/seal/seal-key";
import type { Store } from "@actions-archive/archive/store/store";
import { newKeyPem } from "@actions-archive/archive/test-support/seal-samples";
import { createLogger } from "@actions-archive/core/logger";
import { logKey } from "@actions-archive/core/object-key";
import { type Database, openDatabase, transact } from "@actions-archive/database/connection/open-database";
import { finishCheck } from "@actions-archive/database/ledger/attempts";
import { claimIdentity } from "@actions-archive/database/ledger/identity";
import { recordJobs } from "@actions-archive/database/ledger/log-jobs";
import { recordRuns } from "@actions-archive/database/ledger/runs";
import { addWindow, markFullSecond } from "@actions-archive/database/ledger/windows";
import { insertTombstones, lockArchivedLogs } from "@actions-archive/database/retention/tombstones";
import {
  addRepository,
  jobObject,
  type Json,
  repositoryId,
  runObject,
  stepObject,
} from "@actions-archive/database/test-support/samples";
import type { Loader } from "@actions-archive/loader/loader";
import { loadJobs } from "@actions-archive/loader/rows/load-jobs";
import { loadRecords } from "@actions-archive/loader/rows/load-records";
import { loadRun } from "@actions-archive/loader/rows/load-run";
import { sealArchive } from "@actions-archive/loader/seal/seal-archive";
import { openSealer } from "@actions-archive/loader/seal/start-sealing";
import { createTestDatabase } from "@actions-archive/testkit/test-database";

import { archivedLog, encode } from "./filled-archive.ts";

export const host = "github.com";
export const firstRun = 26_365_060_973;
const firstJob = 61_901_817_921;

export type SealedArchive = AsyncDisposable & {
  readonly db: Database;
  readonly ask: (query: string) => Promise<Record<string, unknown>[]>;
  readonly store: Store;
  readonly folder: string;
  /** Of the first key of the chain. */
  readonly publicKey: KeyObject;
  readonly signers: readonly Signer[];
  readonly databaseUrl: string;
  readonly jobIds: readonly number[];
  /** Keys of logs with a tombstone. */
  readonly removed: readonly string[];
  /** The key of the log whose damage a seal records. */
  readonly damaged: string;
  /** The key of an unmodified log. */
  readonly sampleLog: string;
};

type NewJob = { readonly run: number; readonly id: number; readonly attempt?: number };
type RecordFacts = Partial<Pick<LogRecord, "sections" | "action_uses" | "annotations" | "runner" | "token_permissions">>;

export type SealingKey = { readonly pem: string; readonly signer: Signer };

/** @param firstKey signs the first seals of the chain */
export async function openSealedArchive(firstKey = newKey()): Promise<SealedArchive> {
  await using resources = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "actions-archive-sealed-"));
  resources.defer(() => rm(folder, { recursive: true, force: true }));
  const databaseUrl = await createTestDatabase({ migrated: true });
  const { db, pool } = resources.use(await openDatabase({ url: databaseUrl, applicationName: "test" }));
  const settings = { ARCHIVE_URL: pathToFileURL(folder) };
  const { store, identity } = resources.use(await openArchive(settings, { host, archiveId: undefined }));
  await claimIdentity(db, identity);
  const loader: Loader = { db, store, host, log: createLogger("test", "silent") };
  const ask = async (query: string) => (await pool.query<Record<string, unknown>>(query)).rows;
  const world = await fillArchive({ loader, ask, archiveId: identity.archive_id }, firstKey);
  const opened = resources.move();
  return { db, ask, store, folder, databaseUrl, ...world, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}

type Site = { readonly loader: Loader; readonly ask: SealedArchive["ask"]; readonly archiveId: string };

async function fillArchive(site: Site, firstKey: SealingKey) {
  const { loader, ask } = site;
  const keys = [firstKey, newKey()] as const;
  const seal = (key: number, nextKey?: KeyObject) => sealNow(site, keys[key]?.pem ?? "", nextKey);
  const runs = [0, 1, 2, 3].map((index) => firstRun + index);
  await addRepository(loader.db);
  await addRepository(loader.db, repositoryId + 1, "acme/quiet");
  await ask(
    "update archive.repositories set named_at = '2026-01-01', first_seen_at = '2026-01-01', archive_since = '2026-04-01'",
  );
  await recordRuns(
    loader.db,
    repositoryId,
    runs.map((id) => runObject({ id })),
  );
  await recordRuns(loader.db, repositoryId, [runObject({ id: firstRun, run_attempt: 2 })]);
  const jobs = Array.from({ length: 24 }, (_, index) => ({ run: runs[Math.floor(index / 6)] ?? 0, id: firstJob + index }));
  const [first, second, third, fourth] = [jobs.slice(0, 6), jobs.slice(6, 12), jobs.slice(12, 18), jobs.slice(18)];

  await addWindow(loader.db, repositoryId, { start: new Date("2026-04-01T00:00:00Z"), end: new Date("2026-04-28T00:00:00Z") });
  for (const [index, job] of first.entries()) await (index < 4 ? archiveJob(site, job) : settleAbsent(site, job, "deleted"));
  await seal(0);
  // A log presumed deleted is found, another differs at its second read, and a third is a copy.
  await archiveJob(site, at(first, 4));
  await archiveJob(site, at(first, 0), "changed\n");
  await listAttempt(site, { run: firstRun, attempt: 1 });
  await seal(0);
  for (const job of second) await archiveJob(site, job);
  await addWindow(loader.db, repositoryId, { start: new Date("2026-04-28T00:00:00Z"), end: new Date("2026-05-02T00:00:00Z") });
  await markFullSecond(loader.db, repositoryId, new Date("2026-04-20T00:00:00Z"));
  await recordRuns(loader.db, repositoryId, [runObject({ id: firstRun + 9, actor: { id: 2, login: "hubot" } })]);
  await finishCheck(loader.db, { run_id: firstRun + 9, run_attempt: 1 }, { state: "gone" });
  await ask(`insert into archive.holds (job_id, is_held, reason) values (${at(second, 0).id}, true, 'case 7')`);
  await ask("insert into archive.retention_policies (name, keep_days, by, reason) values ('acme', 400, 'mona', 'law 4')");
  await ask(`
    insert into archive.retries (job_id, repository_id, failed_for, by, os_user, reason)
    values (${at(second, 0).id}, ${repositoryId}, 'forbidden', 'mona', 'mona-os', 'granted')`);
  await ask(`
    insert into archive.backfill_steps (backfill_id, step, asked_for, repository_ids, since, until, by)
    values (1, 'begin', '{acme/app}', '{${repositoryId}}', '2026-01-01', '2026-02-01', 'mona')`);
  await seal(0, keys[1].signer.publicKey);
  for (const job of third) await archiveJob(site, job);
  await ask(
    `insert into archive.holds (job_id, is_held, reason) values (${at(second, 0).id}, false, 'closed'), (${at(second, 1).id}, true, 'case 8')`,
  );
  await ask("insert into archive.removals values ('2020-01-01', '2026-02-01', 3, 5, 0)");
  for (const run of runs.slice(1, 3)) await listAttempt(site, { run, attempt: 1 });
  await tellCopy(site, { run: firstRun, id: at(first, 1).id, attempt: 2 });
  await listAttempt(site, { run: firstRun, attempt: 2 });
  await seal(1);
  const removed = await removeLogs(site, [at(third, 0), at(third, 1)], () => seal(1));
  for (const job of fourth.slice(0, 5)) await archiveJob(site, job);
  await owe(site, at(fourth, 5));
  await seal(1);
  const damaged = await damageLog(site, at(second, 5));
  await seal(1);
  await seal(1);
  await ask("update archive.windows set scanned_at = '2026-05-02'");
  return {
    publicKey: keys[0].signer.publicKey,
    signers: keys.map(({ signer }) => signer),
    jobIds: jobs.slice(0, -1).map(({ id }) => id),
    removed,
    damaged,
    sampleLog: logKey(host, refOf(at(second, 0))),
  };
}

export function newKey(): SealingKey {
  const pem = newKeyPem();
  return { pem, signer: openSigner(pem) };
}

async function sealNow({ loader, archiveId }: Site, pem: string, nextKey: KeyObject | undefined): Promise<void> {
  const config = { SEAL_KEY: pem, SEAL_KEY_FILE: undefined, SEAL_INTERVAL_SECONDS: 3600 };
  const sealer = await openSealer(config, { loader, archiveId });
  if (!sealer || !(await sealArchive(sealer, { nextKey }))) throw new Error("nothing was sealed");
}

const refOf = ({ run, id }: NewJob) => ({ repository_id: repositoryId, run_id: run, job_id: id });

function objectOf({ run, id, attempt = 1 }: NewJob): Json {
  return jobObject({
    id,
    run_id: run,
    run_attempt: attempt,
    name: `build ${id % 100}`,
    html_url: `https://github.com/acme/app/${id}`,
  });
}

// A webhook reports a job before its last step has ended, so each object differs.
async function owe({ loader }: Site, job: NewJob): Promise<void> {
  const early = { ...objectOf(job), runner_name: "rack-7", steps: [stepObject(1), stepObject(2, { conclusion: null })] };
  await recordJobs(loader.db, repositoryId, [{ object: early, source: "webhook", listedAttempt: 1 }]);
  await recordJobs(loader.db, repositoryId, [{ object: objectOf(job), source: "listing", listedAttempt: job.attempt ?? 1 }]);
  await loadJobs(loader, [job.id]);
}

async function tellCopy({ loader }: Site, job: NewJob): Promise<void> {
  await recordJobs(loader.db, repositoryId, [{ object: objectOf(job), source: "listing", listedAttempt: job.attempt ?? 1 }]);
  await loadJobs(loader, [job.id]);
}

async function settle(site: Site, job: NewJob, facts: Pick<LogRecord, "log"> & RecordFacts): Promise<void> {
  const { loader } = site;
  const { key } = await putRecord(loader.store, host, refOf(job), {
    host,
    repository: "acme/app",
    ...refOf(job),
    run_attempt: 1,
    last_listed_attempt: 1,
    // The ledger's JSON columns.
    job: objectOf(job) as LogRecord["job"],
    job_source: "listing",
    job_received_at: "2026-05-01T10:05:00.000Z",
    decided_at: "2026-05-01T10:06:00.000Z",
    ...facts,
  });
  await loadRecords(loader, [{ job_id: job.id, key }]);
}

async function archiveJob(site: Site, job: NewJob, ending = ""): Promise<string> {
  await owe(site, job);
  const { stored, totals } = encode(Buffer.from(logText(job.id) + ending));
  const { key } = await putLog(site.loader.store, host, refOf(job), stored, totals);
  await settle(site, job, { log: archivedLog(key, totals), ...factsOf(totals.rawBytes) });
  return key;
}

async function settleAbsent(site: Site, job: NewJob, reason: "deleted"): Promise<void> {
  await owe(site, job);
  await settle(site, job, { log: { state: "absent", reason, copied_from: null } });
}

async function listAttempt({ loader, ask }: Site, { run, attempt }: { run: number; attempt: number }): Promise<void> {
  await ask(
    `update archive.attempts set state = 'listed', listed_at = '2026-05-02T00:00:00Z', listed_jobs = 6, sealed_in = null where run_id = ${run} and run_attempt = ${attempt}`,
  );
  await loadRun(loader, { run_id: run, run_attempt: attempt });
}

async function removeLogs({ loader }: Site, jobs: readonly NewJob[], seal: () => Promise<void>): Promise<string[]> {
  const { db, store } = loader;
  const buried = await transact(db, async (trx) => {
    const logs = await lockArchivedLogs(
      trx,
      jobs.map(({ id }) => id),
    );
    await insertTombstones(trx, logs, { cause: "erase", reason: "a secret was printed" });
    return logs;
  });
  await seal();
  const keys = buried.flatMap(({ objects }) => objects.map(({ object_key }) => object_key));
  await Promise.all(keys.map((key) => store.remove(key)));
  return keys;
}

// The scrub finds a damaged log, reads it from GitHub again and stores it under a further key.
async function damageLog(site: Site, job: NewJob): Promise<string> {
  const { loader, ask } = site;
  const [row] = await ask(`select object_key from archive.objects where object_key like 'logs/%' and job_id = ${job.id}`);
  const key = String(row?.["object_key"]);
  const path = join(fileURLToPath(loader.store.url), key);
  await chmod(path, 0o644);
  await writeFile(path, "this is no log any more");
  const { stored, totals } = encode(Buffer.from(logText(job.id)));
  const repaired = await putLog(loader.store, host, refOf(job), stored, totals);
  await settle(site, job, { log: archivedLog(repaired.key, totals), ...factsOf(totals.rawBytes) });
  await ask(`
    insert into archive.damages (object_key, finding, repository_id, job_id, repaired_by, repaired_at)
    values ('${key}', 'damaged', ${repositoryId}, ${job.id}, '${repaired.key}', now())`);
  return key;
}

function factsOf(rawBytes: number): RecordFacts {
  const sha = createHash("sha1").update(String(rawBytes)).digest("hex");
  return {
    sections: [
      { step_number: 1, first_line: 1, line_count: 20, raw_start: 0, raw_bytes: 900 },
      { step_number: 2, first_line: 21, line_count: 30, raw_start: 900, raw_bytes: 2_000 },
    ],
    action_uses: [{ step_number: 1, action: "actions/checkout", ref: "v4", sha, line_number: 2, used_at: null }],
    annotations: [{ step_number: 2, level: "error", line_number: 25, message: "Process completed with exit code 1." }],
    runner: { version: "2.330.0", os: "ubuntu" },
    token_permissions: { Contents: "read" },
  };
}

/** For every fourth job, text of several frames. */
function logText(id: number): string {
  const lines = id % 4 === 0 ? 2_500 : 40 + (id % 7);
  return Array.from({ length: lines }, (_, index) => {
    const time = `2026-05-01T10:00:${String(10 + (index % 50)).padStart(2, "0")}.${String((id * 31 + index * 7919) % 10_000_000).padStart(7, "0")}Z`;
    return `${time} ${index % 20 === 0 ? `##[group]Run step ${index}` : `line ${index} of job ${id}: ${createHash("md5").update(`${id}/${index}`).digest("hex")}`}\n`;
  }).join("");
}

function at<T>(items: readonly T[], index: number): T {
  const item = items[index];
  if (item === undefined) throw new RangeError(`There is no item ${index}.`);
  return item;
}
