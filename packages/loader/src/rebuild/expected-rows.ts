// Expected rows of the store's records and run records, in temporary tables, by the statements of the loader and of rebuild.

import type { RunRecord } from "@actions-archive/archive/record/record";
import type { FoundRecord } from "@actions-archive/archive/record/records";
import type { Database } from "@actions-archive/database/connection/open-database";
import { temporarySchema } from "@actions-archive/database/connection/schema-name";
import { upsertRunsOf } from "@actions-archive/database/ledger/runs";
import { restoreAttempts } from "@actions-archive/database/rebuild/restore-ledger";
import { replaceLogFacts } from "@actions-archive/database/rows/log-facts";
import { type JobInput, upsertJobs, upsertLogs } from "@actions-archive/database/rows/rows";

import type { ReadRunRecord } from "../rows/read-run.ts";
import { logRow } from "../rows/write-records.ts";
import { attemptsOf } from "./restore-runs.ts";

/**
 * Writes the runs and attempts of these run records into the temporary tables of `makeLedgerTables`. Idempotent.
 * @param runRecords of any runs; those of one run in the order of their attempts.
 */
export async function writeExpectedLedger(trx: Database, runRecords: readonly ReadRunRecord[]): Promise<void> {
  // Without the objects, which are most of the data and are not compared.
  const attempts = attemptsOf({ runRecords }).map((attempt) => ({ ...attempt, object: null }));
  await restoreAttempts(trx, attempts, temporarySchema);
  await upsertRunsOf(
    trx,
    runRecords.map(({ record: { repository_id: repositoryId, run } }) => ({ repositoryId, object: run })),
    temporarySchema,
  );
}

/** Writes into the temporary tables of `makeExpectedTables`. Takes every version of each job's record, in any order. */
export async function writeExpectedRows(
  trx: Database,
  records: readonly FoundRecord[],
  runRecords: readonly RunRecord[],
): Promise<void> {
  const ofRecords: JobInput[] = records.map(({ record }) => ({ ...record, object: record.job }));
  await upsertJobs(trx, [...ofRecords, ...runRecords.flatMap(inputsOf)], temporarySchema);
  await upsertLogs(
    trx,
    records.map((record) => logRow(record)),
    temporarySchema,
  );
  await replaceLogFacts(
    trx,
    records.map(({ key, record }) => ({ ...record, record_key: key })),
    temporarySchema,
  );
}

/** A run record's facts about its jobs. */
export function inputsOf({ repository_id, run_attempt, jobs = [] }: RunRecord): JobInput[] {
  return jobs.flatMap(({ objects }) =>
    objects.map((object) => ({ repository_id, run_attempt, last_listed_attempt: run_attempt, object })),
  );
}
