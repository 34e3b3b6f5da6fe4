// The rows that records and run records of the store give, by the loader's own statements, in tables beside the auditor's.

import type { RunRecord } from "@actions-archive/archive/record";
import type { FoundRecord } from "@actions-archive/archive/records";
import { replaceLogFacts } from "@actions-archive/database/log-facts";
import type { Database } from "@actions-archive/database/open-database";
import { type JobStory, upsertJobs, upsertLogs } from "@actions-archive/database/rows";
import { temporarySchema } from "@actions-archive/database/schema-name";

import { logRow } from "./write-records.ts";

/** Into the temporary tables that `makeExpectedTables` made. Every version of each job's record; their order does not matter. */
export async function writeExpectedRows(
  trx: Database,
  records: readonly FoundRecord[],
  runRecords: readonly RunRecord[],
): Promise<void> {
  const ofRecords: JobStory[] = records.map(({ record }) => ({ ...record, object: record.job }));
  await upsertJobs(trx, [...ofRecords, ...runRecords.flatMap(storiesOf)], temporarySchema);
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

/** What a run record says of its jobs. */
export function storiesOf({ repository_id, run_attempt, jobs = [] }: RunRecord): JobStory[] {
  return jobs.flatMap(({ objects }) =>
    objects.map((object) => ({ repository_id, run_attempt, last_listed_attempt: run_attempt, object })),
  );
}
