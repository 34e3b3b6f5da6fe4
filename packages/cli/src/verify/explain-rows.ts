// Decides which differences between a job's rows and its records are tampering. A running archive loads rows after their records,
// and its ledger has objects that came after the last record; neither may contradict an object of the store.

import type { SealedIndex } from "@actions-archive/archive/seal/sealed-index";
import { tryParseKey } from "@actions-archive/core/object-key";
import type { Database } from "@actions-archive/database/connection/open-database";
import { temporarySchema } from "@actions-archive/database/connection/schema-name";
import { type JobColumns, jobColumns } from "@actions-archive/database/rows/job-rows";
import { upsertJobs } from "@actions-archive/database/rows/rows";
import { listRunTimes } from "@actions-archive/database/verify/compare-ledger";
import {
  findDifferences,
  type LedgerDifference,
  type LedgerSnapshot,
  listLedgerSnapshots,
  listPartitionedJobs,
  type ObjectColumn,
  type RowDifference,
} from "@actions-archive/database/verify/compare-rows";
import { inputsOf } from "@actions-archive/loader/rebuild/expected-rows";

import type { Comparison } from "./comparison.ts";
import { changedColumns, changesOf, rowName } from "./database-check.ts";
import type { ReadRuns } from "./read-runs.ts";

export type Finding = { readonly verdict: "invalid" | "missing" | "unexpected"; readonly key: string; readonly detail: string };

/**
 * @returns the differences that only tampering explains; the others are reported as notices. Adds the ledger's objects to the
 * expected rows.
 */
export async function explain(
  comparison: Comparison,
  trx: Database,
  read: ReadRuns,
  found: readonly RowDifference[],
): Promise<readonly RowDifference[]> {
  const { findings, result } = comparison;
  const listed = listedJobs(read);
  const jobIds = [...new Set(found.map(({ job_id }) => job_id))];
  const byJob = new Map((await listLedgerSnapshots(trx, jobIds)).map((snapshot) => [snapshot.job_id, snapshot]));
  const contradicting = found.filter((difference) => byJob.has(difference.job_id) && isContradiction(difference, listed));
  const remaining = await compareWithLedger(trx, found, byJob);
  const isOfJob = ({ table }: RowDifference) => table === "jobs" || table === "steps";
  const jobsWithRows = new Set(found.filter(isOfJob).map(({ job_id }) => job_id));
  for (const jobId of jobsWithRows) {
    if (remaining.some((each) => each.job_id === jobId && isOfJob(each))) continue;
    findings.notice("not compared", rowName("jobs", jobId), "its rows hold data that only the ledger has, and no record");
  }
  const waiting = new Set(
    remaining.filter((each) => isWaiting(each, byJob.get(each.job_id), result.index)).map(({ job_id }) => job_id),
  );
  for (const jobId of waiting) findings.notice("not compared", `job ${jobId}`, "its rows are not loaded yet");
  const late = new Set(found.filter((each) => isNewer(each, read, result.index)).map(({ job_id }) => job_id));
  for (const jobId of late)
    findings.notice("not compared", `job ${jobId}`, "its rows are of a record that was written while this ran");
  const removed = await findRemoved(
    comparison,
    trx,
    remaining.filter(({ job_id }) => !byJob.has(job_id)),
  );
  comparison.removedJobs += removed.size;
  const isExplained = ({ job_id }: RowDifference) => [waiting, removed, late].some((jobs) => jobs.has(job_id));
  const unexplained = remaining.filter((each) => !isExplained(each));
  const isKnown = (one: RowDifference) =>
    unexplained.some((each) => each.table === one.table && each.job_id === one.job_id && each.place === one.place);
  return [...unexplained, ...contradicting.filter((each) => !isExplained(each) && !isKnown(each))];
}

// Objects that came after their attempt's record, or whose attempt is in progress, are only in the ledger and the rows (decision
// 0011).
async function compareWithLedger(
  trx: Database,
  found: readonly RowDifference[],
  byJob: ReadonlyMap<number, LedgerSnapshot>,
): Promise<readonly RowDifference[]> {
  const jobIds = new Set(found.map(({ job_id }) => job_id));
  const jobsWithRows = new Set(found.filter(({ table }) => table === "jobs" || table === "steps").map(({ job_id }) => job_id));
  if (jobsWithRows.size === 0) return found;
  const snapshots = [...byJob.values()].filter(({ job_id }) => jobsWithRows.has(job_id));
  await upsertJobs(
    trx,
    snapshots.flatMap(({ objects, ...snapshot }) => objects.map((object) => ({ ...snapshot, object }))),
    temporarySchema,
  );
  return findDifferences(trx, [...jobIds]);
}

/** Columns that may differ in a later object: GitHub derives the URL from the repository's current name. */
const renamed = ["html_url"];
/** Columns that are equal in all objects of a completed job, whatever their source. */
const final = ["repository_id", "run_id", "head_sha", "head_branch", "status", "conclusion"];

// A later object may add what the store's objects leave open, but must not contradict them. A job's record has one of its
// objects. The run record has all until its attempt was listed; others may differ from the first in columns that are not final.
function isContradiction({ table, job_id, actual, expected }: RowDifference, listed: ReadonlySet<number>): boolean {
  if ((table !== "jobs" && table !== "steps") || actual === null || expected === null) return false;
  return changedColumns(actual, expected).some((column) => {
    const [is, was] = [actual[column], expected[column]];
    if (column === "run_attempt") return Number(is) > Number(was);
    if (column === "last_listed_attempt") return Number(is) < Number(was);
    if (column === "status" && was !== "completed") return false;
    if (renamed.includes(column) || (!listed.has(job_id) && !final.includes(column))) return false;
    return !(was === null || was === "" || was === 0 || (Array.isArray(was) && was.length === 0));
  });
}

/** Jobs whose objects until the listing of their attempt are all in a run record. */
function listedJobs({ runRecords }: ReadRuns): ReadonlySet<number> {
  return new Set(runRecords.flatMap(({ record }) => (record.jobs ?? []).map(({ job_id }) => job_id)));
}

// Rows follow their record within seconds; while the loader is down they are pending.
function isWaiting(
  { table, actual, expected }: RowDifference,
  snapshot: LedgerSnapshot | undefined,
  index: SealedIndex,
): boolean {
  if (snapshot === undefined) return false;
  if (table === "jobs") return actual === null && !snapshot.is_loaded;
  if (table !== "logs" || expected === null) return false;
  if (actual === null) return snapshot.log_state === "pending" || snapshot.log_state === "failed";
  const row = index.find(String(expected["record_key"]));
  return Number(expected["record_version"]) > Number(actual["record_version"]) && (row === undefined || index.sealOf(row) === 0);
}

// Whether the record was written and loaded after the store was listed. Its existence is checked with all rows of logs. A sealed
// record was listed.
function isNewer({ table, job_id, actual }: RowDifference, { records }: ReadRuns, index: SealedIndex): boolean {
  const key = table === "logs" ? actual?.["record_key"] : undefined;
  const parsed = typeof key === "string" ? tryParseKey(key) : undefined;
  if (typeof key !== "string" || parsed?.kind !== "record" || parsed.job_id !== job_id) return false;
  const row = index.find(key);
  return (row === undefined || index.sealOf(row) === 0) && records.every((each) => each.key !== key);
}

/**
 * Jobs whose rows were removed by a sealed removal: their runs are older than its limit, and their partition does not exist,
 * since whole partitions are removed.
 */
async function findRemoved(
  { removals: { horizon } }: Comparison,
  trx: Database,
  outsideLedger: readonly RowDifference[],
): Promise<Set<number>> {
  const gone = outsideLedger.filter(({ table, actual }) => table === "jobs" && actual === null);
  if (horizon === undefined || gone.length === 0) return new Set();
  const runIds = [...new Set(gone.map(({ expected }) => Number(expected?.["run_id"])))];
  const times = await listRunTimes(trx, runIds);
  const partitioned = await listPartitionedJobs(
    trx,
    gone.map(({ job_id }) => job_id),
    horizon,
  );
  const isRemoved = ({ job_id, expected }: RowDifference) => {
    const createdAt = times.get(Number(expected?.["run_id"])) ?? new Date(String(expected?.["created_at"]));
    return createdAt < horizon && !partitioned.has(job_id);
  };
  return new Set(gone.filter(isRemoved).map(({ job_id }) => job_id));
}

/** Finds contradictions between the ledger's jobs and the objects that were read. */
export async function explainLedger(
  { removals: { horizon } }: Comparison,
  trx: Database,
  read: ReadRuns,
  differences: readonly LedgerDifference[],
): Promise<Finding[]> {
  const listed = listedJobs(read);
  const absent = differences.filter(({ has_row }) => !has_row);
  const times =
    horizon === undefined ? new Map<number, Date>() : await listRunTimes(trx, [...new Set(absent.map(({ run_id }) => run_id))]);
  return differences.flatMap((difference): Finding[] => {
    const { job_id, run_id, has_row, actual, problem } = difference;
    const key = rowName("log_jobs", job_id);
    if (!has_row) {
      // A removal deletes the ledger of all runs before it, while rows of later partitions stay.
      const isRemoved = horizon !== undefined && (times.get(run_id) ?? horizon) < horizon;
      return isRemoved ? [] : [{ verdict: "missing", key, detail: "a record, or a run record, is of this job" }];
    }
    if (problem !== null) return [{ verdict: "invalid", key, detail: problem }];
    const columns = columnsOf(read, job_id);
    const isListed = listed.has(job_id);
    const wrong = Object.entries(actual).flatMap(([name, value]) => {
      if (!isListed && !final.includes(name)) return [];
      const values = columns.map((each) => timeless(each[name as ObjectColumn])).filter((each) => each !== null);
      const is = timeless(value);
      return values.length === 0 || (is !== null && values.includes(is))
        ? []
        : [`${name} is ${JSON.stringify(value)}, and ${JSON.stringify(values[0])} by its record`];
    });
    return wrong.length === 0 ? [] : [{ verdict: "invalid", key, detail: wrong.join("; ") }];
  });
}

/** The columns of every object of the job that was read. */
function columnsOf({ records, runRecords }: ReadRuns, jobId: number): JobColumns[] {
  const ofRecords = records.filter(({ record }) => record.job_id === jobId).map(({ record }) => record.job as unknown);
  const ofRuns = runRecords.flatMap(({ record }) => inputsOf(record).map(({ object }) => object));
  return [...ofRecords, ...ofRuns].flatMap((object) => {
    const columns = jobColumns(object);
    return columns?.job_id === jobId ? [columns] : [];
  });
}

// Normalizes texts of an instant; GitHub leaves unknown values null or empty.
function timeless(value: string | null): string | number | null {
  if (value === null || value === "") return null;
  return /^\d{4}-\d{2}-\d{2}T/.test(value) && !Number.isNaN(Date.parse(value)) ? Date.parse(value) : value;
}

export function findingOf({ table, job_id, place, actual, expected }: RowDifference): Finding {
  const key = rowName(table, job_id, place);
  if (actual === null) return { verdict: "missing", key, detail: "its record says that there is this row" };
  if (expected === null) return { verdict: "unexpected", key, detail: "no record says that there is this row" };
  return { verdict: "invalid", key, detail: changesOf(actual, expected) };
}
