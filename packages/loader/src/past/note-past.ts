// What was loaded by a version that knew no seals: each object of it waits for a seal too.

import { listUnrecordedRunRecords, listUnrecordedRecords } from "@actions-archive/database/ledger/objects";

import type { Loader } from "../loader.ts";
import { loadRecords } from "../rows/load-records.ts";
import { loadRun } from "../rows/load-run.ts";

const most = 500;

/** Loads once more whatever record and run record is not written down as an object of the store. Idempotent; done when nothing is left. */
export async function notePast(loader: Loader): Promise<void> {
  const { db } = loader;
  for (let records = await listUnrecordedRecords(db, 0, most); records.length > 0;) {
    await loadRecords(loader, records);
    records = await listUnrecordedRecords(db, records.at(-1)?.job_id ?? 0, most);
  }
  for (let attempts = await listUnrecordedRunRecords(db, undefined, most); attempts.length > 0;) {
    for (const attempt of attempts) await loadRun(loader, attempt);
    attempts = await listUnrecordedRunRecords(db, attempts.at(-1), most);
  }
}
