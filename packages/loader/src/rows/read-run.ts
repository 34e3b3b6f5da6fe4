// Reads a run's run records and records from the store, checks each against its key, and reports mismatches.

import { createHash } from "node:crypto";

import { RunRecord } from "@actions-archive/archive/record/record";
import { type FoundRecord, parseLogRecord, parseRecord } from "@actions-archive/archive/record/records";
import { readDocument } from "@actions-archive/archive/store/read-document";
import type { Store } from "@actions-archive/archive/store/store";
import { PermanentError } from "@actions-archive/core/errors";
import { runRecordKey, tryParseKey } from "@actions-archive/core/object-key";
import type { StoredObject } from "@actions-archive/database/ledger/objects";
import type { Refusal } from "@actions-archive/database/rebuild/rebuild-progress";
import { asFields, jobColumns } from "@actions-archive/database/rows/job-rows";
import pMap from "p-map";

import type { RunKeys } from "./walk-runs.ts";

export type ReadRunRecord = { readonly key: string; readonly record: RunRecord };

export type ReadRun = {
  readonly repository_id: number;
  readonly run_id: number;
  /** By attempt. */
  readonly runRecords: readonly ReadRunRecord[];
  readonly records: readonly FoundRecord[];
  /** Objects that were read and match their keys. */
  readonly objects: readonly StoredObject[];
  readonly refusals: readonly Refusal[];
};

/** Concurrent reads per run; several runs are read concurrently. */
const readsOfRun = 8;

/** @throws TransientError if the store does not answer. */
export async function readRun(store: Store, host: string, run: RunKeys): Promise<ReadRun> {
  const runRecords: ReadRunRecord[] = [];
  const records: FoundRecord[] = [];
  const objects: StoredObject[] = [];
  const refusals: Refusal[] = [];
  const readOne = async (key: string) => {
    try {
      const read = await readDocument(store, key, (bytes) => parseObject(bytes, { host, key, name: `${key} in ${store.url}` }));
      if (read === undefined) throw new PermanentError("store/corrupt", `${key} was listed, but is no longer in ${store.url}`);
      if (read.kind === "record") records.push(read.found);
      else runRecords.push({ key, record: read.record });
      objects.push(read.object);
    } catch (error) {
      if (!(error instanceof PermanentError)) throw error;
      refusals.push({ object_key: key, problem: error.message });
    }
  };
  await pMap([...run.runKeys, ...run.recordKeys], readOne, { concurrency: readsOfRun });
  return {
    repository_id: run.repository_id,
    run_id: run.run_id,
    runRecords: runRecords.toSorted((a, b) => a.record.run_attempt - b.record.run_attempt),
    // Of two records of a job the older one first, as in the ledger.
    records: records.toSorted((a, b) => a.record.job_id - b.record.job_id || a.version - b.version),
    objects,
    refusals,
  };
}

type ObjectName = { readonly host: string; readonly key: string; readonly name: string };

function parseObject(bytes: Buffer, of: ObjectName) {
  const { key } = of;
  const object: StoredObject = {
    key,
    version_id: null,
    size: bytes.length,
    sha256: createHash("sha256").update(bytes).digest("hex"),
  };
  if (tryParseKey(key)?.kind === "record") return { kind: "record" as const, found: parseLogRecord(bytes, of), object };
  return { kind: "run" as const, record: parseRunRecord(bytes, of), object };
}

// Otherwise anyone who can write to the store could add rows to any run, or forge attempts.
function parseRunRecord(bytes: Buffer, { host, key, name }: ObjectName): RunRecord {
  const record = parseRecord(RunRecord, bytes, name);
  const { id = record.run_id, run_attempt = record.run_attempt } = asFields(record.run);
  const isOwnRun = id === record.run_id && run_attempt === record.run_attempt;
  const areOwnJobs = (record.jobs ?? []).every(({ job_id, objects }) =>
    objects.every((object) => {
      const job = jobColumns(object);
      return job?.job_id === job_id && job.run_id === record.run_id;
    }),
  );
  if (record.host !== host || runRecordKey(host, record) !== key || !isOwnRun || !areOwnJobs)
    throw new PermanentError("store/corrupt", `${name} is not the run record of its key`);
  return record;
}
