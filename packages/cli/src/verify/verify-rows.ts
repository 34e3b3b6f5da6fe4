// Compares the rows of jobs with the records and run records of the store in both directions: edited, added and deleted rows are
// reported by name.

import type { FoundRecord } from "@actions-archive/archive/record/records";
import { mark } from "@actions-archive/archive/seal/sealed-index";
import { Findings } from "@actions-archive/archive/verify/findings";
import { PermanentError } from "@actions-archive/core/errors";
import { tryParseKey } from "@actions-archive/core/object-key";
import { type Database, transact } from "@actions-archive/database/connection/open-database";
import { temporarySchema } from "@actions-archive/database/connection/schema-name";
import { listUnsealedRemovals, writeRemovals } from "@actions-archive/database/retention/tombstones";
import {
  findDifferences,
  findLedgerDifferences,
  listJobsOutsideLedger,
  listLogRows,
  listOrphanFacts,
  makeExpectedTables,
  takeSnapshot,
} from "@actions-archive/database/verify/compare-rows";
import { inputsOf, writeExpectedLedger, writeExpectedRows } from "@actions-archive/loader/rebuild/expected-rows";

import type { Comparison } from "./comparison.ts";
import { addName, type DatabaseCheck, rowName } from "./database-check.ts";
import { explain, explainLedger, type Finding, findingOf } from "./explain-rows.ts";
import { listAgain, listRuns, type ReadRuns, readRuns, type RunKeys } from "./read-runs.ts";
import { verifyUnrecordedJobs } from "./verify-unsettled.ts";

/** Records compared in one transaction. */
const recordsAtOnce = 500;
const pageLength = 10_000;

/** Writes only into temporary tables, some of which `makeLedgerTables` has created. @returns the number of jobs compared. */
export async function verifyRows(check: DatabaseCheck): Promise<number> {
  const { db, store, onJobs, signal, result } = check;
  const comparison: Comparison = {
    ...check,
    findings: result.findings,
    strangers: new Set(await listJobsOutsideLedger(db)),
    recordless: new Set(),
    removedJobs: 0,
  };
  let batch: RunKeys[] = [];
  let [records, jobs] = [0, 0];
  for await (const run of listRuns(store)) {
    signal?.throwIfAborted();
    batch.push(run);
    records += run.records.length + run.runRecords.length;
    if (records < recordsAtOnce) continue;
    jobs += await compareRuns(comparison, batch);
    onJobs?.(jobs);
    [batch, records] = [[], 0];
  }
  jobs += await compareRuns(comparison, batch);
  await reportRowsWithoutRecord(comparison);
  await verifyUnrecordedJobs(comparison);
  reportRemoved(comparison);
  return jobs;
}

// A running archive writes records and loads rows meanwhile, so differences are read once more before they are reported.
async function compareRuns(comparison: Comparison, runs: readonly RunKeys[]): Promise<number> {
  if (runs.length === 0) return 0;
  let attempt: Comparison = { ...comparison, findings: new Findings(), removedJobs: 0 };
  let jobs = await compareOnce(attempt, runs);
  if (attempt.findings.tamperCount > 0) {
    attempt = { ...comparison, findings: new Findings(), removedJobs: 0 };
    jobs = await compareOnce(attempt, await listAgain(comparison.store, runs));
  }
  comparison.removedJobs += attempt.removedJobs;
  for (const { verdict, key, detail } of attempt.findings.tampering) comparison.findings.tamper(verdict, key, detail);
  for (const { verdict, key, detail } of attempt.findings.notices) comparison.findings.notice(verdict, key, detail);
  return jobs;
}

/** @returns the number of jobs compared */
async function compareOnce(comparison: Comparison, runs: readonly RunKeys[]): Promise<number> {
  const read = await readRuns(comparison.store, comparison.result.index, runs);
  await addRunRecords(comparison, read);
  const jobIds = jobsOf(read);
  try {
    await compareBatch(comparison, read);
  } catch (error) {
    if (!(error instanceof PermanentError && error.code === "database/refused") || comparison.db.isTransaction) throw error;
    // A record that the tables refuse, which the loader lists as unloadable, must not prevent the comparison of others.
    for (const jobId of jobIds) await compareJob(comparison, read, jobId);
  }
  return jobIds.length;
}

async function addRunRecords(comparison: Comparison, { records, runRecords }: ReadRuns): Promise<void> {
  await transact(comparison.db, (trx) => writeExpectedLedger(trx, runRecords));
  for (const { record } of runRecords) {
    addName(comparison, record, record.run_received_at);
    for (const jobId of record.job_ids) comparison.recordless.add(jobId);
  }
  for (const { record } of records) {
    addName(comparison, record, record.decided_at);
    comparison.recordless.delete(record.job_id);
  }
}

async function compareJob(comparison: Comparison, read: ReadRuns, jobId: number): Promise<void> {
  const records = read.records.filter(({ record }) => record.job_id === jobId);
  const runRecords = read.runRecords.map(({ key, record }) => ({
    key,
    record: { ...record, jobs: record.jobs?.filter(({ job_id }) => job_id === jobId) },
  }));
  try {
    await compareBatch(comparison, { ...read, records, runRecords });
  } catch (error) {
    if (!(error instanceof PermanentError && error.code === "database/refused")) throw error;
    comparison.findings.notice("not compared", `job ${jobId}`, `no table takes what its record says: ${error.message}`);
  }
}

async function compareBatch(comparison: Comparison, read: ReadRuns): Promise<void> {
  const jobIds = jobsOf(read);
  if (jobIds.length === 0) return;
  const findings = await transact(comparison.db, async (trx): Promise<Finding[]> => {
    // A snapshot, since the loader commits a job's rows in several tables at once.
    if (!comparison.db.isTransaction) await takeSnapshot(trx);
    await makeExpectedTables(trx);
    await writeExpectedRows(
      trx,
      read.records,
      read.runRecords.map(({ record }) => record),
    );
    await writeRemovals(trx, await findRemovedJobs(comparison, trx, read.records), temporarySchema);
    // Must run before `explain`, which adds the ledger's objects to the expected rows.
    const ofLedger = await explainLedger(comparison, trx, read, await findLedgerDifferences(trx));
    const found = await findDifferences(trx, jobIds);
    return [...(found.length === 0 ? [] : await explain(comparison, trx, read, found)).map(findingOf), ...ofLedger];
  });
  for (const { verdict, key, detail } of findings) comparison.findings.tamper(verdict, key, detail);
  for (const jobId of jobIds) comparison.strangers.delete(jobId);
}

// Only a tombstone shows that a log was removed, and only for an archived log; no record does.
async function findRemovedJobs(
  { result: { index, chain }, findings }: Comparison,
  trx: Database,
  records: readonly FoundRecord[],
): Promise<number[]> {
  const archived = records.filter(({ record }) => record.log.state === "archived");
  const isTombstoned = ({ record: { log } }: FoundRecord) => {
    const row = log.state === "archived" ? index.find(log.key) : undefined;
    return row !== undefined && index.has(row, mark.isTombstoned);
  };
  const tombstoned = new Set(archived.filter(isTombstoned).map(({ record }) => record.job_id));
  const jobIds = [...new Set(archived.map(({ record }) => record.job_id))];
  const head = chain.head?.sequence ?? 0;
  const waiting = (await listUnsealedRemovals(trx, jobIds, head)).filter((jobId) => !tombstoned.has(jobId));
  for (const jobId of waiting)
    findings.notice("tombstoned", `job ${jobId}`, "its log is removed by decision, which waits for a seal");
  return [...tombstoned, ...waiting];
}

function jobsOf({ records, runRecords, unknownJobs }: ReadRuns): number[] {
  const listed = runRecords.flatMap(({ record }) => inputsOf(record).map(({ object }) => jobIdOf(object)));
  const ids = new Set([...records.map(({ record }) => record.job_id), ...listed]);
  return [...ids].filter((id) => id > 0 && !unknownJobs.has(id));
}

function jobIdOf(object: unknown): number {
  const id = typeof object === "object" && object !== null && "id" in object ? object.id : 0;
  return typeof id === "number" && Number.isSafeInteger(id) ? id : 0;
}

async function reportRowsWithoutRecord({ db, store, result: { index }, findings, strangers, signal }: Comparison): Promise<void> {
  for (let after = 0; ;) {
    signal?.throwIfAborted();
    const page = await listLogRows(db, after, pageLength);
    for (const { job_id, record_key } of page) {
      const parsed = tryParseKey(record_key);
      const isOwn = parsed?.kind === "record" && parsed.job_id === job_id;
      // The record may have been written and loaded since the store was listed.
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
  for (const { table, job_id } of await listOrphanFacts(db))
    findings.tamper("unexpected", rowName(table, job_id), "says what a log says, and no row says how the log ended");
  for (const jobId of strangers)
    findings.tamper("unexpected", rowName("jobs", jobId), "no record, no run record and no part of the ledger is of this job");
}

function reportRemoved({ findings, removedJobs, removals: { horizon, jobs } }: Comparison): void {
  if (removedJobs === 0 || horizon === undefined) return;
  const count = `the rows of ${removedJobs} jobs of runs created before ${horizon.toISOString()} are not there`;
  if (removedJobs > jobs)
    findings.tamper("missing", "archive.jobs", `${count}, and the removals that seals carry took out ${jobs}`);
  else findings.notice("not compared", "archive.jobs", `${count}: they were removed, as the seals say`);
}
