// Holds the database against the store, both ways: an edited, added or deleted row is found, and named.

import type { FoundRecord } from "@actions-archive/archive/records";
import { mark, type SealedIndex } from "@actions-archive/archive/sealed-index";
import type { Store } from "@actions-archive/archive/store";
import { Findings } from "@actions-archive/archive/verify-findings";
import { PermanentError } from "@actions-archive/core/errors";
import { tryParseKey } from "@actions-archive/core/object-key";
import {
  countJobsWithoutLog,
  findDifferences,
  findRemovalHorizon,
  type LedgerStory,
  listJobsOutsideLedger,
  listLedgerStories,
  listLogRows,
  listLooseFacts,
  makeExpectedTables,
  type RowDifference,
} from "@actions-archive/database/compare-rows";
import { type Database, transact } from "@actions-archive/database/open-database";
import { upsertJobs } from "@actions-archive/database/rows";
import { temporarySchema } from "@actions-archive/database/schema-name";
import { listUnsealedRemovals, writeRemovals } from "@actions-archive/database/tombstones";
import { storiesOf, writeExpectedRows } from "@actions-archive/loader/expected-rows";

import { listAgain, listRuns, type ReadRuns, readRuns, type RunKeys } from "./read-runs.ts";

export type RowsRequest = {
  readonly db: Database;
  readonly store: Store;
  readonly index: SealedIndex;
  readonly findings: Findings;
  /** Sequence of the newest seal. */
  readonly head: number;
  /** Told of the jobs that were compared until now. */
  readonly onJobs?: (jobs: number) => void;
  readonly signal?: AbortSignal | undefined;
};

/** One transaction each. */
const recordsAtOnce = 500;
const pageLength = 10_000;
const dayMs = 24 * 60 * 60 * 1000;
/** A re-run's jobs are younger than their run, by 35 days at most: https://docs.github.com/actions/reference/limits */
const longestRunMs = 36 * dayMs;

/** Writes into temporary tables alone. @returns how many jobs were compared. */
export async function verifyRows(request: RowsRequest): Promise<number> {
  const { db, store, onJobs, signal } = request;
  const strangers = new Set(await listJobsOutsideLedger(db));
  const comparison: Comparison = { ...request, strangers, horizon: await findRemovalHorizon(db), jobs: 0 };
  let batch: RunKeys[] = [];
  let records = 0;
  for await (const run of listRuns(store)) {
    signal?.throwIfAborted();
    batch.push(run);
    records += run.records.length + run.runRecords.length;
    if (records < recordsAtOnce) continue;
    await compareRuns(comparison, batch);
    onJobs?.(comparison.jobs);
    [batch, records] = [[], 0];
  }
  await compareRuns(comparison, batch);
  await tellRowsWithoutRecord(comparison);
  return comparison.jobs;
}

type Comparison = RowsRequest & {
  /** Jobs that have a row and no part in the ledger, without those whose record was read. */
  readonly strangers: Set<number>;
  /** Runs created before it may have no rows any more. */
  readonly horizon: Date | undefined;
  jobs: number;
};

// An archive at work writes records and loads their rows while this looks: what differs is looked at once more before it is told.
async function compareRuns(comparison: Comparison, runs: readonly RunKeys[]): Promise<void> {
  if (runs.length === 0) return;
  let findings = new Findings();
  let jobs = await compareOnce({ ...comparison, findings }, runs);
  if (findings.tamperCount > 0) {
    findings = new Findings();
    jobs = await compareOnce({ ...comparison, findings }, await listAgain(comparison.store, runs));
  }
  comparison.jobs += jobs;
  for (const { verdict, key, detail } of findings.tampering) comparison.findings.tamper(verdict, key, detail);
  for (const { verdict, key, detail } of findings.notices) comparison.findings.notice(verdict, key, detail);
}

/** @returns how many jobs were compared */
async function compareOnce(comparison: Comparison, runs: readonly RunKeys[]): Promise<number> {
  const read = await readRuns(comparison.store, comparison.index, runs);
  const jobIds = jobsOf(read);
  try {
    await compareTogether(comparison, read);
  } catch (error) {
    if (!(error instanceof PermanentError && error.code === "database/refused") || comparison.db.isTransaction) throw error;
    // One that no table takes, which the loader lists as unloadable, must not keep the others from being compared.
    for (const jobId of jobIds) await compareAlone(comparison, read, jobId);
  }
  return jobIds.length;
}

async function compareAlone(comparison: Comparison, read: ReadRuns, jobId: number): Promise<void> {
  const records = read.records.filter(({ record }) => record.job_id === jobId);
  const runRecords = read.runRecords.map((record) => ({
    ...record,
    jobs: record.jobs?.filter(({ job_id }) => job_id === jobId),
  }));
  try {
    await compareTogether(comparison, { ...read, records, runRecords });
  } catch (error) {
    if (!(error instanceof PermanentError && error.code === "database/refused")) throw error;
    comparison.findings.notice("not compared", `job ${jobId}`, `no table takes what its record says: ${error.message}`);
  }
}

async function compareTogether(comparison: Comparison, { records, runRecords, unknownJobs }: ReadRuns): Promise<void> {
  const jobIds = jobsOf({ records, runRecords, unknownJobs });
  if (jobIds.length === 0) return;
  const differences = await transact(comparison.db, async (trx) => {
    await makeExpectedTables(trx);
    await writeExpectedRows(trx, records, runRecords);
    await writeRemovals(trx, await findRemovedJobs(comparison, trx, records), temporarySchema);
    const found = await findDifferences(trx, jobIds);
    if (found.length === 0) return [];
    return explain(comparison, found, await listLedgerStories(trx, jobIds), async (stories) => {
      await upsertJobs(
        trx,
        stories.flatMap(({ objects, ...story }) => objects.map((object) => ({ ...story, object }))),
        temporarySchema,
      );
      return findDifferences(trx, jobIds);
    });
  });
  for (const difference of differences) tell(comparison, difference);
  for (const jobId of jobIds) comparison.strangers.delete(jobId);
}

// Only a tombstone says that a log was removed, and only of what was archived: no record does.
async function findRemovedJobs(
  { index, findings, head }: Comparison,
  trx: Database,
  records: readonly FoundRecord[],
): Promise<number[]> {
  const archived = records.filter(({ record }) => record.log.state === "archived");
  const isBuried = ({ record: { log } }: FoundRecord) => {
    const row = log.state === "archived" ? index.find(log.key) : undefined;
    return row !== undefined && index.has(row, mark.isTombstoned);
  };
  const buried = new Set(archived.filter(isBuried).map(({ record }) => record.job_id));
  const jobIds = [...new Set(archived.map(({ record }) => record.job_id))];
  const waiting = (await listUnsealedRemovals(trx, jobIds, head)).filter((jobId) => !buried.has(jobId));
  for (const jobId of waiting)
    findings.notice("tombstoned", `job ${jobId}`, "its log is removed by decision, which waits for a seal");
  return [...buried, ...waiting];
}

function jobsOf({ records, runRecords, unknownJobs }: ReadRuns): number[] {
  const told = runRecords.flatMap((record) => storiesOf(record).map(({ object }) => jobIdOf(object)));
  const ids = new Set([...records.map(({ record }) => record.job_id), ...told]);
  return [...ids].filter((id) => id > 0 && !unknownJobs.has(id));
}

function jobIdOf(object: unknown): number {
  const id = typeof object === "object" && object !== null && "id" in object ? object.id : 0;
  return typeof id === "number" && Number.isSafeInteger(id) ? id : 0;
}

/** The differences that are nobody's but a tamperer's; the others are told as what they are. */
async function explain(
  { findings, index, horizon }: Comparison,
  found: readonly RowDifference[],
  stories: readonly LedgerStory[],
  compareWithLedger: (stories: readonly LedgerStory[]) => Promise<RowDifference[]>,
): Promise<readonly RowDifference[]> {
  const byJob = new Map(stories.map((story) => [story.job_id, story]));
  const ofJobs = new Set(found.filter(({ table }) => table === "jobs" || table === "steps").map(({ job_id }) => job_id));
  // An object that came after its attempt's record, or whose attempt goes on, is in the ledger and the rows alone (decision 0011).
  const left = ofJobs.size === 0 ? found : await compareWithLedger(stories.filter(({ job_id }) => ofJobs.has(job_id)));
  const explained = new Set(
    [...ofJobs].filter((id) => !left.some(({ job_id, table }) => job_id === id && (table === "jobs" || table === "steps"))),
  );
  for (const jobId of explained)
    findings.notice("not compared", `archive.jobs ${jobId}`, "its rows hold what the ledger alone tells, and no record");
  const waiting = new Set(left.filter((each) => isWaiting(each, byJob.get(each.job_id), index)).map(({ job_id }) => job_id));
  for (const jobId of waiting) findings.notice("not compared", `job ${jobId}`, "its rows are not loaded yet");
  const removed = new Set(left.filter((each) => isRemoved(each, byJob, horizon)).map(({ job_id }) => job_id));
  for (const jobId of removed)
    findings.notice("not compared", `job ${jobId}`, "its rows were removed from the database with those of its time");
  return left.filter(({ job_id }) => !waiting.has(job_id) && !removed.has(job_id));
}

// Rows follow their record within seconds, and a loader that is down leaves them owed.
function isWaiting({ table, actual, expected }: RowDifference, story: LedgerStory | undefined, index: SealedIndex): boolean {
  if (story === undefined) return false;
  if (table === "jobs") return actual === null && !story.is_loaded;
  if (table !== "logs" || expected === null) return false;
  if (actual === null) return story.log_state === "pending" || story.log_state === "failed";
  const row = index.find(String(expected["record_key"]));
  return Number(expected["record_version"]) > Number(actual["record_version"]) && (row === undefined || index.sealOf(row) === 0);
}

function isRemoved(
  { table, job_id, actual, expected }: RowDifference,
  byJob: ReadonlyMap<number, LedgerStory>,
  horizon: Date | undefined,
): boolean {
  if (table !== "jobs" || actual !== null || horizon === undefined || byJob.has(job_id)) return false;
  return Date.parse(String(expected?.["created_at"])) < horizon.getTime() + longestRunMs;
}

function tell({ findings }: Comparison, { table, job_id, place, actual, expected }: RowDifference): void {
  const key = rowName(table, job_id, place);
  if (actual === null) findings.tamper("missing", key, "its record says that there is this row");
  else if (expected === null) findings.tamper("unexpected", key, "no record says that there is this row");
  else findings.tamper("invalid", key, changesOf(actual, expected));
}

export function rowName(table: string, id: number | string, place = ""): string {
  return `archive.${table} ${id}${place === "" ? "" : ` ${place}`}`;
}

function changesOf(actual: Readonly<Record<string, unknown>>, expected: Readonly<Record<string, unknown>>): string {
  const say = (value: unknown) => (JSON.stringify(value) ?? "nothing").slice(0, 80);
  return Object.keys(expected)
    .filter((name) => JSON.stringify(actual[name]) !== JSON.stringify(expected[name]))
    .map((name) => `${name} is ${say(actual[name])}, and ${say(expected[name])} by its record`)
    .join("; ");
}

async function tellRowsWithoutRecord({ db, store, index, findings, strangers, signal }: Comparison): Promise<void> {
  for (let after = 0; ;) {
    signal?.throwIfAborted();
    const page = await listLogRows(db, after, pageLength);
    for (const { job_id, record_key } of page) {
      const parsed = tryParseKey(record_key);
      const isOwn = parsed?.kind === "record" && parsed.job_id === job_id;
      // Written and loaded since the store was listed.
      const isThere = isOwn && (index.find(record_key) !== undefined || (await store.head(record_key)) !== undefined);
      if (!isThere)
        findings.tamper(
          "unexpected",
          rowName("logs", job_id),
          `names the record ${record_key}, which is none of this job's in the store`,
        );
    }
    const last = page.at(-1);
    if (!last || page.length < pageLength) break;
    after = last.job_id;
  }
  for (const { table, job_id } of await listLooseFacts(db))
    findings.tamper("unexpected", rowName(table, job_id), "says what a log says, and no row says how the log ended");
  for (const jobId of strangers)
    findings.tamper("unexpected", rowName("jobs", jobId), "no record, no run record and no part of the ledger is of this job");
  const jobs = await countJobsWithoutLog(db);
  if (jobs > 0)
    findings.notice("not compared", "archive.jobs", `${jobs} jobs whose log is not settled have rows of the ledger alone`);
}
