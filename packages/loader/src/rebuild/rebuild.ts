// Rebuilds an empty database from the store: the chain of seals; then, run by run, run records and records, by the code that loads them
// in operation; then windows and attempts without a record, from the seals. A restart repeats only the last batches.

import type { KeyObject } from "node:crypto";

import { findArchiveIdentity } from "@actions-archive/archive/store/archive-identity";
import { ConfigError, PermanentError } from "@actions-archive/core/errors";
import { archiveIdentityKey } from "@actions-archive/core/object-key";
import { retry } from "@actions-archive/core/retry";
import { withLock } from "@actions-archive/database/connection/locks";
import { claimIdentity } from "@actions-archive/database/ledger/identity";
import { findObjects } from "@actions-archive/database/ledger/objects";
import {
  analyzeTables,
  beginRebuild,
  findRebuild,
  isLedgerEmpty,
  recordMissingObjects,
  recordRefusals,
  type RebuildProgress,
  type RebuildState,
  saveRebuild,
} from "@actions-archive/database/rebuild/rebuild-progress";
import { type NamedRepository, restoreRerunScans, restoreRepositories } from "@actions-archive/database/rebuild/restore-ledger";
import pMap, { pMapIterable } from "p-map";

import type { Loader } from "../loader.ts";
import { type ReadRun, readRun } from "../rows/read-run.ts";
import { type RunKeys, walkRuns } from "../rows/walk-runs.ts";
import { adoptSeals } from "../seal/adopt-seals.ts";
import { restoreRuns } from "./restore-runs.ts";
import { restoreSeals } from "./restore-seals.ts";

export type RebuildOptions = {
  /** Of the newest seal. If undefined, the chain is followed by its hashes, and its end is not verified. */
  readonly publicKey: KeyObject | undefined;
  readonly signal: AbortSignal;
  readonly onProgress?: (progress: RebuildProgress) => void;
  /** Approximate number of objects per batch; 300 by default. */
  readonly batchObjects?: number;
};

/** The loader's batch size of jobs, with the run records of their runs. */
const defaultBatchObjects = 300;
/** A run of thousands of jobs is not held in memory completely. */
const recordsOfPart = 1_000;
/** Batches that are read while others are written, and runs of a batch that are read concurrently: 64 reads at most. */
const batchesRead = 2;
const runsRead = 4;
/** One is prepared while Postgres writes the other, as in the loader. */
const batchesWritten = 2;
/** Postgres has no statistics of tables that were just filled, and plans for empty ones. */
const analyzedAfterJobs = [2_000, 20_000];
const writeRetries = 5;

/** `path` is that of its last run; undefined if more of that run follows. */
type KeysOfBatch = { readonly path: string | undefined; readonly runs: readonly RunKeys[] };
type Batch = { readonly path: string | undefined; readonly runs: readonly ReadRun[] };
type Rebuild = Loader & { readonly archiveId: string; readonly options: RebuildOptions; progress: RebuildProgress };

/**
 * Rebuilds the database, or continues an earlier call. Idempotent. Workers should not run meanwhile: they would do no harm, but request
 * from GitHub what is not restored yet.
 * @throws ConfigError if the store is no archive, or not this database's.
 * @throws PermanentError `usage/invalid` if the database is not empty, or another process rebuilds it.
 * @throws TransientError, or the signal's reason; the next call continues.
 */
export async function rebuild({ db, store, log }: Omit<Loader, "host">, options: RebuildOptions): Promise<RebuildState> {
  const identity = await findArchiveIdentity(store);
  if (identity === undefined)
    throw new ConfigError(
      `There is no archive at ${store.url}: it holds no ${archiveIdentityKey}. Set ARCHIVE_URL to where it is.`,
    );
  const state = await withLock(db, "rebuild", async () => {
    const known = await findRebuild(db);
    if (known === undefined && !(await isLedgerEmpty(db)))
      throw new PermanentError(
        "usage/invalid",
        "The database already has a ledger, and rebuild needs an empty one. Create a database and run migrate and rebuild on it, or start the workers on this one, which continue from its state.",
      );
    await claimIdentity(db, { archive_id: identity.archive_id, host: identity.host });
    await beginRebuild(db, identity.archive_id);
    const begun = await findRebuild(db);
    if (begun === undefined || begun.phase === "done") return begun;
    const { phase, position, objects_listed, objects_read, jobs, seconds } = begun;
    const progress = { phase, position, objects_listed, objects_read, jobs, seconds };
    await runPhases({ db, store, log, host: identity.host, archiveId: identity.archive_id, options, progress });
    return findRebuild(db);
  });
  if (state === undefined)
    throw new PermanentError("usage/invalid", "Another process is rebuilding this database: wait for its end, or end it");
  return state;
}

async function runPhases(rebuilding: Rebuild): Promise<void> {
  const phases = { seals: takeSeals, records: takeRecords, ledger: takeLedger, closing: close };
  const began = performance.now() - rebuilding.progress.seconds * 1000;
  const save = async (progress: Partial<RebuildProgress>) => {
    rebuilding.progress = { ...rebuilding.progress, ...progress, seconds: (performance.now() - began) / 1000 };
    await saveRebuild(rebuilding.db, rebuilding.progress);
    rebuilding.options.onProgress?.(rebuilding.progress);
    rebuilding.options.signal.throwIfAborted();
  };
  const order = ["seals", "records", "ledger", "closing", "done"] as const;
  for (const [index, phase] of order.entries()) {
    if (phase === "done") return;
    if (rebuilding.progress.phase !== phase) continue;
    await phases[phase](rebuilding, save);
    await save({ phase: order[index + 1] ?? "done", position: "" });
  }
}

type Save = (progress: Partial<RebuildProgress>) => Promise<void>;

async function takeSeals({ db, store, host, archiveId, log, options: { publicKey } }: Rebuild, save: Save): Promise<void> {
  // Without its chain an archive is incomplete, but a correction needs a database, which is created here.
  const mayNameOtherHost = publicKey !== undefined;
  await adoptSeals({ db, store, host, archiveId, publicKey, log, mayNameOtherHost }, ({ sequence }) =>
    save({ position: String(sequence) }),
  );
}

async function takeLedger({ db, store, progress }: Rebuild, save: Save): Promise<void> {
  await restoreSeals({ db, store }, Number(progress.position), (sequence) => save({ position: String(sequence) }));
}

async function takeRecords(rebuilding: Rebuild, save: Save): Promise<void> {
  const { db, store, host } = rebuilding;
  if (rebuilding.progress.objects_listed === null) await save({ objects_listed: await countObjects(rebuilding) });
  const names = new Map<number, string>();
  const { batchObjects = defaultBatchObjects } = rebuilding.options;
  const batches = batchesOf(walkRuns(store, host, rebuilding.progress.position), batchObjects);
  const read = pMapIterable(
    batches,
    async ({ path, runs }): Promise<Batch> => ({
      path,
      runs: await pMap(runs, (run) => readRun(store, host, run), { concurrency: runsRead }),
    }),
    { concurrency: batchesRead, backpressure: batchesRead },
  );
  // Sequential: a repository is in the ledger before its rows are written.
  const checked = pMapIterable(
    read,
    async ({ path, runs }): Promise<Batch> => {
      const unchanged = await refuseChanged(rebuilding, runs);
      await nameRepositories(rebuilding, names, unchanged);
      return { path, runs: unchanged };
    },
    { concurrency: 1 },
  );
  const written = pMapIterable(checked, (batch) => writeBatch(rebuilding, batch), {
    concurrency: batchesWritten,
    backpressure: batchesWritten,
  });
  let done = { objects: 0, jobs: 0 };
  for await (const { path, objects, jobs } of written) {
    done = { objects: done.objects + objects, jobs: done.jobs + jobs };
    if (path === undefined) continue;
    const { objects_read, jobs: before } = rebuilding.progress;
    await save({ position: path, objects_read: objects_read + done.objects, jobs: before + done.jobs });
    if (analyzedAfterJobs.some((limit) => before < limit && before + done.jobs >= limit)) await analyzeTables(db);
    done = { objects: 0, jobs: 0 };
  }
}

async function writeBatch(rebuilding: Rebuild, { path, runs }: Batch) {
  const { db, options } = rebuilding;
  const refused = await retry(() => restoreRuns(rebuilding, runs), { retries: writeRetries, signal: options.signal });
  await recordRefusals(db, [...runs.flatMap(({ refusals }) => refusals), ...refused]);
  return { path, objects: sum(runs, ({ objects, refusals }) => objects.length + refusals.length), jobs: sum(runs, countJobs) };
}

async function close({ db }: Rebuild): Promise<void> {
  await restoreRerunScans(db);
  await analyzeTables(db);
  await recordMissingObjects(db);
}

async function countObjects({ store, host, options }: Rebuild): Promise<number> {
  let objects = 0;
  for await (const { runKeys, recordKeys } of walkRuns(store, host)) {
    options.signal.throwIfAborted();
    objects += runKeys.length + recordKeys.length;
  }
  return objects;
}

async function* batchesOf(runs: AsyncIterable<RunKeys>, batchObjects: number): AsyncGenerator<KeysOfBatch> {
  let [batch, objects]: [RunKeys[], number] = [[], 0];
  for await (const run of runs) {
    const parts = Math.max(1, Math.ceil(run.recordKeys.length / recordsOfPart));
    for (let part = 0; part < parts; part += 1) {
      const isLast = part === parts - 1;
      const recordKeys = run.recordKeys.slice(part * recordsOfPart, (part + 1) * recordsOfPart);
      // The run records' facts about all jobs are written with the first part.
      batch.push({ ...run, runKeys: part === 0 ? run.runKeys : [], recordKeys });
      objects += recordKeys.length + run.runKeys.length;
      if (objects < batchObjects && isLast) continue;
      yield { path: isLast ? run.path : undefined, runs: batch };
      [batch, objects] = [[], 0];
    }
  }
  if (batch.length > 0) yield { path: batch.at(-1)?.path, runs: batch };
}

// Bytes that differ from the sealed ones prove nothing.
async function refuseChanged({ db }: Rebuild, runs: readonly ReadRun[]): Promise<ReadRun[]> {
  const known = await findObjects(
    db,
    runs.flatMap(({ objects }) => objects.map(({ key }) => key)),
  );
  const sealed = new Map(known.filter(({ sealed_in }) => sealed_in !== null).map((object) => [object.key, object]));
  return runs.map((run) => {
    const changed = run.objects.flatMap(({ key, sha256 }) => {
      const object = sealed.get(key);
      return object === undefined || object.sha256 === sha256
        ? []
        : [{ object_key: key, problem: `its bytes are not those that seal ${object.sealed_in} holds` }];
    });
    if (changed.length === 0) return run;
    const isLeft = ({ key }: { readonly key: string }) => changed.every(({ object_key }) => object_key !== key);
    return {
      ...run,
      runRecords: run.runRecords.filter(isLeft),
      records: run.records.filter(isLeft),
      objects: run.objects.filter(isLeft),
      refusals: [...run.refusals, ...changed],
    };
  });
}

// In a separate transaction and only new ones: otherwise batches of one repository would wait for each other.
async function nameRepositories({ db }: Rebuild, names: Map<number, string>, runs: readonly ReadRun[]): Promise<void> {
  const newer = new Map<number, NamedRepository>();
  for (const name of runs.flatMap(namesOf)) {
    const { repository_id, named_at } = name;
    if (named_at <= (names.get(repository_id) ?? "")) continue;
    names.set(repository_id, named_at);
    newer.set(repository_id, name);
  }
  await restoreRepositories(db, [...newer.values()]);
}

function namesOf({ runRecords, records }: ReadRun): NamedRepository[] {
  return [
    ...runRecords.map(({ record }) => ({ ...record, named_at: new Date(record.run_received_at).toISOString() })),
    ...records.map(({ record }) => ({ ...record, named_at: new Date(record.decided_at).toISOString() })),
  ].map(({ repository_id, repository, named_at }) => ({ repository_id, full_name: repository, named_at }));
}

function countJobs({ runRecords, records }: ReadRun): number {
  const ids = [...records.map(({ record }) => record.job_id), ...runRecords.flatMap(({ record }) => record.job_ids)];
  return new Set(ids).size;
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}
