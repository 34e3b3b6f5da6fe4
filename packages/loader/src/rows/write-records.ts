// Writes the rows of records that were read: jobs, steps, log states and extracted facts.

import type { FoundRecord } from "@actions-archive/archive/record/records";
import { PermanentError } from "@actions-archive/core/errors";
import { transact } from "@actions-archive/database/connection/open-database";
import { lockJobs } from "@actions-archive/database/ledger/log-jobs";
import { deleteLogLeases } from "@actions-archive/database/ledger/log-leases";
import { failLog, recordTerminalStates } from "@actions-archive/database/ledger/log-states";
import { recordObjects, type StoredObject } from "@actions-archive/database/ledger/objects";
import { applyTombstones, propagateTombstones, type NamedLog } from "@actions-archive/database/retention/tombstones";
import { fullnessOf, instant, jobColumns } from "@actions-archive/database/rows/job-rows";
import { replaceLogFacts } from "@actions-archive/database/rows/log-facts";
import { type LogRow, upsertJobs, upsertLogs } from "@actions-archive/database/rows/rows";

import type { RowWriter } from "../loader.ts";
import { objectsOf } from "./record-objects.ts";

/**
 * Writes these records' rows in one transaction, and records their objects, and those of `extraLogs`, for sealing. If a row is refused,
 * each record is written in a separate transaction, and the refused one becomes `unloadable`. Idempotent.
 */
export async function writeRecords(
  loader: RowWriter,
  records: readonly FoundRecord[],
  extraLogs: readonly StoredObject[] = [],
): Promise<void> {
  try {
    await writeRows(loader, records, extraLogs);
  } catch (error) {
    if (!(error instanceof PermanentError)) throw error;
    await recordObjects(loader.db, [...records.flatMap(objectsOf), ...extraLogs]);
    for (const record of records) await writeAlone(loader, record);
  }
}

/**
 * Like `writeRecords`, all or nothing.
 * @throws PermanentError if a row is refused.
 */
export async function writeRows(
  { db }: Pick<RowWriter, "db">,
  records: readonly FoundRecord[],
  extraLogs: readonly StoredObject[],
): Promise<void> {
  const jobIds = records.map(({ record }) => record.job_id);
  await transact(db, async (trx) => {
    // The lock order of `loadJobs`, which writes rows of the same jobs: another order would deadlock.
    const loaded = await lockJobs(trx, jobIds);
    // The object is almost always the same: its rows, half of all, need not be written again.
    const unknown = records.filter(({ record }) => loaded.get(record.job_id)?.getTime() !== Date.parse(record.job_received_at));
    await upsertJobs(
      trx,
      unknown.map(({ record }) => ({ ...record, object: record.job })),
    );
    await upsertLogs(trx, records.map(logRow));
    await replaceLogFacts(
      trx,
      records.map(({ key, record }) => ({ ...record, record_key: key })),
    );
    await recordObjects(trx, [...records.flatMap(objectsOf), ...extraLogs]);
    await propagateTombstones(trx, records.flatMap(namedLog));
    await applyTombstones(trx, jobIds);
    await recordTerminalStates(trx, jobIds);
    await deleteLogLeases(trx, jobIds);
  });
}

async function writeAlone(loader: RowWriter, record: FoundRecord): Promise<void> {
  try {
    await writeRows(loader, [record], []);
  } catch (error) {
    if (!(error instanceof PermanentError)) throw error;
    loader.log.error({ err: error, jobId: record.record.job_id, objectKey: record.key }, "row refused");
    await failLog(loader.db, record.record.job_id, "unloadable", error.message);
  }
}

function namedLog({ record: { job_id, repository_id, log } }: FoundRecord): NamedLog[] {
  return log.state === "archived" ? [{ job_id, repository_id, log }] : [];
}

/** The log's state, as a row. */
export function logRow({ key, version, sha256, record }: FoundRecord): LogRow {
  const { log, job_id, decided_at } = record;
  const job = jobColumns(record.job);
  const common = {
    job_id,
    log_state: log.state,
    record_key: key,
    record_version: version,
    record_sha256: sha256,
    extraction_version: record.extraction_version ?? null,
    object_steps: job === undefined ? null : fullnessOf(job),
  };
  if (log.state === "absent") {
    return {
      ...common,
      log_reason: log.reason,
      log_flags: [],
      copied_from_job_id: log.copied_from,
      log_key: null,
      log_version_id: null,
      raw_bytes: null,
      raw_sha256: null,
      stored_bytes: null,
      stored_sha256: null,
      lines: null,
      first_line_at: null,
      last_line_at: null,
      archived_at: null,
    };
  }
  return {
    ...common,
    log_reason: null,
    log_flags: log.flags,
    copied_from_job_id: null,
    log_key: log.key,
    log_version_id: log.version_id,
    raw_bytes: log.raw_bytes,
    raw_sha256: log.raw_sha256,
    stored_bytes: log.stored_bytes,
    stored_sha256: log.stored_sha256,
    lines: log.lines,
    first_line_at: timeOfLine(log.first_time),
    last_line_at: timeOfLine(log.last_time),
    archived_at: decided_at,
  };
}

// All digits, but only of an existing day: a value of several lines can contain what resembles 31 February.
function timeOfLine(time: string | null): string | null {
  return time !== null && instant(time)?.slice(0, 10) === time.slice(0, 10) ? time : null;
}
