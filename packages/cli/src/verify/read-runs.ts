// Reads the records of an archive by run: those of its jobs and those of its attempts.

import { createHash } from "node:crypto";

import { LogRecord, RunRecord } from "@actions-archive/archive/record/record";
import { type FoundRecord, parseRecord } from "@actions-archive/archive/record/records";
import { mark, type SealedIndex } from "@actions-archive/archive/seal/sealed-index";
import { readDocument } from "@actions-archive/archive/store/read-document";
import { isCorrupt, type Store } from "@actions-archive/archive/store/store";
import { PermanentError } from "@actions-archive/core/errors";
import { tryParseKey } from "@actions-archive/core/object-key";
import type { ReadRunRecord } from "@actions-archive/loader/rows/read-run";

export type RunKeys = {
  /** `host/repository/run/` */
  readonly folder: string;
  readonly records: readonly string[];
  readonly runRecords: readonly string[];
};

export type ReadRuns = {
  readonly records: FoundRecord[];
  /** In the order of their attempts. */
  readonly runRecords: ReadRunRecord[];
  /** Jobs with a tampered record: their expected rows are unknown. */
  readonly unknownJobs: Set<number>;
};

/** Lists every run that has a record once, by merging two listings in key order. */
export async function* listRuns(store: Store): AsyncGenerator<RunKeys, undefined> {
  const records = folders(store, "records/");
  const runs = folders(store, "runs/");
  let [ofRecords, ofRuns] = [await records.next(), await runs.next()];
  while (!ofRecords.done || !ofRuns.done) {
    const [one, other] = [ofRecords.value?.folder, ofRuns.value?.folder];
    const isRecords = one !== undefined && (other === undefined || one <= other);
    const isRuns = other !== undefined && (one === undefined || other <= one);
    yield {
      folder: (isRecords ? one : other) ?? "",
      records: (isRecords && ofRecords.value?.keys) || [],
      runRecords: (isRuns && ofRuns.value?.keys) || [],
    };
    if (isRecords) ofRecords = await records.next();
    if (isRuns) ofRuns = await runs.next();
  }
}

/** Lists these runs again: a running archive may have written further records meanwhile. */
export async function listAgain(store: Store, runs: readonly RunKeys[]): Promise<RunKeys[]> {
  const keysOf = async (prefix: string) => {
    const keys: string[] = [];
    for await (const { key } of store.list(prefix)) keys.push(key);
    return keys;
  };
  return Promise.all(
    runs.map(async ({ folder }) => ({
      folder,
      records: await keysOf(`records/${folder}`),
      runRecords: await keysOf(`runs/${folder}`),
    })),
  );
}

/** Reads the records that are as sealed, or not sealed yet; changed ones were reported by the verification of the objects. */
export async function readRuns(store: Store, index: SealedIndex, runs: readonly RunKeys[]): Promise<ReadRuns> {
  const read: ReadRuns = { records: [], runRecords: [], unknownJobs: new Set() };
  for (const keys of chunks(
    runs.flatMap(({ records, runRecords }) => [...records, ...runRecords]),
    32,
  )) {
    const bodies = await Promise.all(keys.map((key) => readConfirmed(store, index, key)));
    for (const [at, key] of keys.entries()) take(read, index, { key, bytes: bodies[at] });
  }
  read.runRecords.sort((a, b) => a.record.run_attempt - b.record.run_attempt);
  return { ...read, records: read.records.filter(({ record }) => !read.unknownJobs.has(record.job_id)) };
}

// A single read may be corrupted in transit: a sealed object is confirmed by its hash, an unsealed one by two equal reads.
// Objects that are too large or changed were reported by the verification of the objects.
async function readConfirmed(store: Store, index: SealedIndex, key: string): Promise<Buffer | undefined> {
  const row = index.find(key);
  const expected = row !== undefined && index.sealOf(row) > 0 ? index.sha256Of(row) : undefined;
  let last: string | undefined;
  try {
    return await readDocument(store, key, (bytes) => {
      const sha256 = sha256Of(bytes);
      if (sha256 === (expected ?? last)) return bytes;
      last = sha256;
      throw new PermanentError("store/corrupt", `${key} in ${store.url} is not as it was sealed`);
    });
  } catch (error) {
    if (isCorrupt(error)) return undefined;
    throw error;
  }
}

function take(read: ReadRuns, index: SealedIndex, { key, bytes }: { key: string; bytes: Buffer | undefined }): void {
  const parsed = tryParseKey(key);
  const row = index.find(key);
  const isKnown = bytes !== undefined && !(row !== undefined && index.has(row, mark.isBroken));
  if (parsed?.kind === "record") {
    if (!isKnown) read.unknownJobs.add(parsed.job_id);
    else
      read.records.push({
        key,
        version: parsed.version,
        size: bytes.length,
        sha256: sha256Of(bytes),
        record: parseRecord(LogRecord, bytes, key),
      });
  } else if (parsed?.kind === "run" && isKnown) {
    read.runRecords.push({ key, record: parseRecord(RunRecord, bytes, key) });
  }
}

function sha256Of(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}

async function* folders(store: Store, prefix: string): AsyncGenerator<{ folder: string; keys: string[] }, undefined> {
  let found: { folder: string; keys: string[] } | undefined;
  for await (const { key } of store.list(prefix)) {
    const folder = key.slice(prefix.length, key.lastIndexOf("/") + 1);
    if (found?.folder === folder) {
      found.keys.push(key);
      continue;
    }
    if (found) yield found;
    found = { folder, keys: [key] };
  }
  if (found) yield found;
}

function chunks<T>(items: readonly T[], length: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / length) }, (_, at) => items.slice(at * length, (at + 1) * length));
}
