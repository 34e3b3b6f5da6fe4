// Rereads one archived log, and writes the result of the present extraction as the next version of the job's record. Used by the
// loader's maintenance and by `reindex`.

import { extractionVersion, extractLog, replaceTextFlags } from "@actions-archive/archive/log/facts/extraction";
import { readLogTotals, type ReadTotals } from "@actions-archive/archive/log/logs";
import type { ArchivedLog, LogRecord } from "@actions-archive/archive/record/record";
import { findRecord, type FoundRecord, type NewLogRecord, putRecord } from "@actions-archive/archive/record/records";
import { isCorrupt } from "@actions-archive/archive/store/store";
import { ActionsArchiveError, PermanentError, TransientError } from "@actions-archive/core/errors";
import { retry } from "@actions-archive/core/retry";
import { findObjects } from "@actions-archive/database/ledger/objects";
import {
  beginReread,
  failReread,
  findReread,
  finishReread,
  type Reread,
  withRecordInForce,
  withRereadLock,
} from "@actions-archive/database/ledger/rereads";
import { fullnessOf, jobColumns } from "@actions-archive/database/rows/job-rows";

import type { Loader } from "../loader.ts";
import { loadRecords } from "../rows/load-records.ts";
import { reportDamages } from "../seal/scrub-archive.ts";

export type RereadResult =
  /** A new version of the record was written and loaded. */
  | { readonly outcome: "written" }
  /** The record in force has the same content; if it was not loaded, it is now. */
  | { readonly outcome: "unchanged" }
  /** It was reread or removed meanwhile, or another record came into force. */
  | { readonly outcome: "not_owed" }
  /** Another process rereads it. */
  | { readonly outcome: "busy" }
  /** The reread failed: it is logged, and recorded in the ledger with a backoff. Nothing was written. */
  | { readonly outcome: "failed"; readonly error: ActionsArchiveError };

export type RereadOptions = {
  /** Rereads a log even if no reread is owed. */
  readonly isForced?: boolean;
  readonly signal?: AbortSignal | undefined;
};

/**
 * Idempotent: two concurrent calls write one version, and after a crash the next call completes the work. If the raw bytes differ from
 * the record's, nothing is written, and the log is reported as damage.
 * @throws TransientError if the database does not answer; the signal's reason.
 */
export async function rereadLog(loader: Loader, jobId: number, options: RereadOptions = {}): Promise<RereadResult> {
  const { db, log } = loader;
  const { isForced = false, signal } = options;
  const result = await withRereadLock(db, jobId, async (): Promise<RereadResult> => {
    const owed = await findReread(db, extractionVersion, jobId);
    if (owed === undefined || !(owed.is_owed || isForced)) return { outcome: "not_owed" };
    await beginReread(db, jobId);
    try {
      const outcome = await retry(() => rereadOnce(loader, jobId, options), { signal });
      // Usually false: a fuller object that arrived meanwhile waits for the backoff, as does a log that no reread settles.
      const isStillOwed = (await findReread(db, extractionVersion, jobId))?.is_owed === true;
      if (isStillOwed) await failReread(db, jobId, "The log was reread, but another reread is owed");
      else await finishReread(db, jobId);
      return { outcome };
    } catch (error) {
      if (signal?.aborted || !(error instanceof ActionsArchiveError)) throw error;
      // If the log was removed meanwhile, its unreadable object is not a failure.
      if ((await findReread(db, extractionVersion, jobId)) === undefined) return { outcome: "not_owed" };
      await failReread(db, jobId, error.message);
      const context = { repository: owed.repository, runId: owed.run_id, jobId, err: error };
      if (error instanceof TransientError) log.warn(context, "reread of archived log deferred");
      else log.error(context, "archived log not reread");
      return { outcome: "failed", error };
    }
  });
  return result ?? { outcome: "busy" };
}

async function rereadOnce(
  loader: Loader,
  jobId: number,
  { isForced = false, signal }: RereadOptions,
): Promise<"written" | "unchanged" | "not_owed"> {
  const { db, store, host, log } = loader;
  const inForce = await findLoadedRecord(loader, jobId);
  const owed = await findReread(db, extractionVersion, jobId);
  if (inForce === undefined || owed === undefined) return "not_owed";
  // A version that a dead process wrote is loaded now, and may settle what was owed.
  if (!owed.is_owed && !isForced) return "unchanged";
  const { record } = inForce;
  if (record.log.state !== "archived") return "not_owed";
  if ((record.extraction_version ?? 0) > extractionVersion)
    throw new PermanentError(
      "usage/invalid",
      `The record ${inForce.key} was written by version ${record.extraction_version} of the extraction, and this program has version ${extractionVersion}: use the newer program`,
    );
  const totals = await readTotals(loader, record.log, signal);
  const next = makeRecord(owed, record, record.log, totals);
  const put = await withRecordInForce(db, { jobId, recordKey: inForce.key }, () => putRecord(store, host, owed, next, inForce));
  if (put === undefined) return "not_owed";
  if (!put.created) return "unchanged";
  await loadWritten(loader, jobId, put, inForce.key);
  const { repository, run_id: runId } = owed;
  const facts = { objectKey: put.key, sizeBytes: totals.rawBytes, extractionVersion };
  log.info({ repository, runId, jobId, ...facts }, "archived log reread");
  return "written";
}

/**
 * The record in force; a version that is not loaded yet is loaded first. Undefined if no log is archived.
 * @throws PermanentError `store/corrupt` if the store's bytes differ from the loaded ones, since a changed record must not be the basis
 * of a sealed one.
 */
async function findLoadedRecord(loader: Loader, jobId: number): Promise<FoundRecord | undefined> {
  const { db, store, host } = loader;
  const loaded = await findReread(db, extractionVersion, jobId);
  if (loaded === undefined) return undefined;
  const inForce = await findRecord(store, host, loaded);
  if (inForce?.key === loaded.record_key && inForce.sha256 === loaded.record_sha256) return inForce;
  if (inForce?.record.log.state === "archived" && inForce.version > loaded.record_version) {
    await loadWritten(loader, jobId, inForce, loaded.record_key);
    return inForce;
  }
  await reportDamages(loader, await findObjects(db, [loaded.record_key]));
  throw new PermanentError(
    "store/corrupt",
    `The record ${loaded.record_key} of job ${jobId} in ${store.url} differs from the loaded one: restore it from a copy, and run verify`,
  );
}

/**
 * Loads the record `written`, which replaces the one under `earlierKey`.
 * @throws PermanentError `database/refused`
 */
async function loadWritten(loader: Loader, jobId: number, written: FoundRecord, earlierKey: string): Promise<void> {
  await loadRecords(loader, [{ job_id: jobId, key: written.key }]);
  const loaded = await findReread(loader.db, extractionVersion, jobId);
  if (loaded?.record_key === earlierKey)
    throw new PermanentError(
      "database/refused",
      `The record ${written.key} of job ${jobId} was written, but Postgres refused its rows: see the errors logged before`,
    );
}

async function readTotals(loader: Loader, log: ArchivedLog, signal: AbortSignal | undefined): Promise<ReadTotals> {
  const { db, store } = loader;
  const versionId = log.version_id ?? undefined;
  try {
    const options = { sizeBytes: log.stored_bytes, rawBytes: log.raw_bytes, versionId };
    const totals = await readLogTotals(store, log.key, options, signal);
    if (totals.rawSha256 === log.raw_sha256 && totals.rawBytes === log.raw_bytes) return totals;
    throw new PermanentError(
      "store/corrupt",
      `The log ${log.key} in ${store.url} holds ${totals.rawBytes} bytes with the SHA-256 ${totals.rawSha256}, and its record says ${log.raw_bytes} and ${log.raw_sha256}: restore it from a copy`,
    );
  } catch (error) {
    if (isCorrupt(error)) await reportDamages(loader, await findObjects(db, [log.key]));
    throw error;
  }
}

/** Keeps every recorded fact that does not follow from the log's text, except a job object with fewer steps. */
function makeRecord(owed: Reread, record: LogRecord, log: ArchivedLog, totals: ReadTotals): NewLogRecord {
  const { host, repository_id, repository, run_id, job_id, run_attempt, last_listed_attempt, decided_at } = record;
  const [recorded, known] = [record.job, owed.object].map((object) => fullnessOf(jobColumns(object) ?? { steps: [] }));
  const isFuller = (known ?? 0) > (recorded ?? 0);
  const job = isFuller
    ? {
        // The ledger has the object as JSON, as received.
        job: owed.object as LogRecord["job"],
        job_source: owed.object_source as LogRecord["job_source"],
        job_received_at: owed.object_received_at.toISOString(),
      }
    : { job: record.job, job_source: record.job_source, job_received_at: record.job_received_at };
  const columns = jobColumns(job.job);
  const completedAt = columns?.completed_at ? new Date(columns.completed_at) : undefined;
  const extraction = extractLog(totals, { steps: columns?.steps ?? [], completedAt });
  return {
    host,
    repository_id,
    repository,
    run_id,
    job_id,
    run_attempt,
    last_listed_attempt,
    ...job,
    log: { ...log, ...extraction.text, flags: replaceTextFlags(log.flags, extraction) },
    ...extraction.facts,
    decided_at,
  };
}
