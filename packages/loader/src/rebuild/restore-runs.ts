// Writes runs that were read from the store: the ledger's runs, attempts and jobs, and the auditor's rows, in one transaction for many
// runs. If a row is refused, it writes run by run, then as the loader does, which finds the refused row.

import { PermanentError } from "@actions-archive/core/errors";
import { type Database, transact } from "@actions-archive/database/connection/open-database";
import { attemptFields } from "@actions-archive/database/ledger/attempt-fields";
import { type JobSnapshot, type JobSnapshotOf, recordJobs, recordLoadedJobs } from "@actions-archive/database/ledger/log-jobs";
import { recordObjects } from "@actions-archive/database/ledger/objects";
import { recordRunsOf } from "@actions-archive/database/ledger/runs";
import type { Refusal } from "@actions-archive/database/rebuild/rebuild-progress";
import { type RecordedAttempt, restoreAttempts } from "@actions-archive/database/rebuild/restore-ledger";
import { asFields, fullnessOf, instant, jobColumns, text } from "@actions-archive/database/rows/job-rows";
import { upsertJobs } from "@actions-archive/database/rows/rows";

import type { Loader } from "../loader.ts";
import { loadJobs } from "../rows/load-jobs.ts";
import type { ReadRun, ReadRunRecord } from "../rows/read-run.ts";
import { readExtraLogs } from "../rows/record-objects.ts";
import { writeRecords, writeRows } from "../rows/write-records.ts";

/** All known facts of one job of a run. */
type RestoredJob = {
  readonly job_id: number;
  readonly repository_id: number;
  readonly run_attempt: number;
  readonly last_listed_attempt: number;
  /** Unique; of two with equally many facts, the one that the ledger had first is first. */
  readonly objects: readonly Omit<JobSnapshot, "listedAttempt">[];
};

/**
 * Writes these runs. Their repositories must be in the ledger. Idempotent.
 * @returns objects that Postgres refuses, which are skipped. A job of which only rows are refused becomes `unloadable` instead.
 * @throws TransientError if Postgres cannot work now.
 */
export async function restoreRuns(loader: Loader, runs: readonly ReadRun[]): Promise<Refusal[]> {
  const jobs = runs.flatMap(jobsOf);
  const records = runs.flatMap((run) => run.records);
  const extraLogs = await readExtraLogs(loader, records);
  try {
    await transact(loader.db, async (trx) => {
      await restoreLedger(trx, runs);
      await recordLoadedJobs(trx, jobs.flatMap(snapshotsOf));
      await upsertJobs(
        trx,
        jobs.flatMap(({ objects, ...job }) => objects.map(({ object }) => ({ ...job, object }))),
      );
      await writeRows({ db: trx }, records, extraLogs);
    });
    return [];
  } catch (error) {
    if (!(error instanceof PermanentError)) throw error;
    const refusals: Refusal[] = [];
    for (const run of runs) refusals.push(...(await restoreAlone(loader, run)));
    return refusals;
  }
}

async function restoreAlone(loader: Loader, run: ReadRun): Promise<Refusal[]> {
  const jobs = jobsOf(run);
  try {
    await transact(loader.db, async (trx) => {
      await restoreLedger(trx, [run]);
      await recordJobs(trx, run.repository_id, jobs.flatMap(snapshotsOf));
    });
  } catch (error) {
    if (!(error instanceof PermanentError)) throw error;
    return run.objects.map(({ key }) => ({ object_key: key, problem: error.message }));
  }
  await loadJobs(
    loader,
    jobs.map(({ job_id }) => job_id),
  );
  await writeRecords(loader, run.records, await readExtraLogs(loader, run.records));
  return [];
}

// Attempts with a record first: the remaining ones that the runs count have none, and are open.
async function restoreLedger(trx: Database, runs: readonly ReadRun[]): Promise<void> {
  await recordObjects(
    trx,
    runs.flatMap(({ objects }) => objects),
  );
  await restoreAttempts(trx, runs.flatMap(attemptsOf));
  await recordRunsOf(
    trx,
    runs.flatMap(({ repository_id: repositoryId, runRecords }) =>
      runRecords.map(({ record: { run } }) => ({ repositoryId, object: run })),
    ),
  );
}

/** Its attempts according to its run records. */
export function attemptsOf({ runRecords }: Pick<ReadRun, "runRecords">): RecordedAttempt[] {
  return runRecords.map(({ key, record }) => {
    const { repository_id, run_id, run_attempt, run_received_at, job_ids } = record;
    const listed_jobs = record.listed_jobs ?? job_ids.length;
    const run = asFields(record.run);
    return {
      repository_id,
      run_id,
      run_attempt,
      status: text(run["status"]),
      conclusion: text(run["conclusion"]),
      ...attemptFields(run),
      // An attempt that was never fetched is written as {}.
      object: Object.keys(run).length > 0 ? run : null,
      run_updated_at: instant(run["updated_at"]),
      listed_at: run_received_at,
      listed_jobs,
      missing_job_ids: record.missing_job_ids ?? [],
      record_key: key,
    };
  });
}

function jobsOf({ repository_id, runRecords, records }: ReadRun): RestoredJob[] {
  const attempts = new Map<number, number[]>();
  const objects = new Map<number, Map<string, Omit<JobSnapshot, "listedAttempt">>>();
  const add = (jobId: number, snapshot: Omit<JobSnapshot, "listedAttempt">) => {
    const known = objects.get(jobId) ?? new Map();
    objects.set(jobId, known);
    // Both are from canonical JSON: equal objects have equal texts.
    const name = JSON.stringify(snapshot.object);
    if (!known.has(name)) known.set(name, snapshot);
  };
  const listed = (jobId: number, ...by: number[]) => attempts.set(jobId, [...(attempts.get(jobId) ?? []), ...by]);
  for (const { record } of records) {
    add(record.job_id, { object: record.job, source: record.job_source, receivedAt: record.job_received_at });
    listed(record.job_id, record.run_attempt, record.last_listed_attempt);
  }
  // The latest record has the source of the fullest object.
  for (const { record } of runRecords.toReversed()) {
    for (const snapshot of objectsOf(record)) add(snapshot.job_id, snapshot);
    for (const jobId of record.job_ids) listed(jobId, record.run_attempt);
  }
  return [...objects].map(([job_id, snapshot]) => {
    const by = attempts.get(job_id) ?? [1];
    return {
      job_id,
      repository_id,
      run_attempt: Math.min(...by),
      last_listed_attempt: Math.max(...by),
      objects: [...snapshot.values()],
    };
  });
}

function objectsOf({ jobs = [], run_received_at }: ReadRunRecord["record"]) {
  return jobs.flatMap(({ job_id, objects, source = "listing", received_at = run_received_at }) => {
    const fullness = objects.map((object) => {
      const columns = jobColumns(object);
      return columns === undefined ? 0 : fullnessOf(columns);
    });
    const fullest = fullness.indexOf(Math.max(...fullness));
    return objects.map((object, index) => ({
      job_id,
      object,
      source: index === fullest ? source : ("listing" as const),
      receivedAt: index === fullest ? received_at : run_received_at,
    }));
  });
}

function snapshotsOf({ repository_id: repositoryId, run_attempt, last_listed_attempt, objects }: RestoredJob): JobSnapshotOf[] {
  const snapshots = objects.map((snapshot) => ({ ...snapshot, repositoryId, listedAttempt: run_attempt }));
  const [first] = snapshots;
  return first === undefined || last_listed_attempt === run_attempt
    ? snapshots
    : [...snapshots, { ...first, listedAttempt: last_listed_attempt }];
}
