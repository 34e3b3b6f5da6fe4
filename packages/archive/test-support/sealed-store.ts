// Builds a small sealed archive in any store: jobs with logs, and a run record.

import { createHash } from "node:crypto";

import { recordKey, sealKey } from "@actions-archive/core/object-key";

import { LogEncoder } from "../src/log/log-format.ts";
import { putLog } from "../src/log/logs.ts";
import type { ArchivedLog, LogRecord } from "../src/record/record.ts";
import { putRecord, putRunRecord } from "../src/record/records.ts";
import { signSeal } from "../src/seal/seal-envelope.ts";
import type { Signer } from "../src/seal/seal-key.ts";
import { makeSeal, type NewSeal, noPreviousSeal, type SealEntry } from "../src/seal/seal.ts";
import { ensureArchiveIdentity } from "../src/store/archive-identity.ts";
import { canonicalBytes } from "../src/store/canonical-bytes.ts";
import type { Store } from "../src/store/store.ts";

export const host = "github.com";
export const refOf = (job_id: number) => ({ repository_id: 1, run_id: 2, job_id });

export type SealedStore = {
  readonly store: Store;
  /** Seals all unsealed objects. @returns the hash of the seal's payload */
  readonly seal: (signer: Signer, changes?: Partial<NewSeal>) => Promise<string>;
  /** @returns the key of the log */
  readonly addJob: (jobId: number, text: string | Buffer) => Promise<string>;
  readonly addRun: (attempt: number, jobIds: readonly number[]) => Promise<void>;
  readonly entryOf: (key: string) => SealEntry;
};

/** Opens the archive. Seals are an hour apart, the first at `firstSealedAt`. */
export async function openSealedStore(store: Store, firstSealedAt = new Date()): Promise<SealedStore> {
  const { archive_id } = await ensureArchiveIdentity(store, { host });
  const sealed = new Map<string, SealEntry>();
  let [sequence, previous_sha256] = [0, noPreviousSeal];
  return {
    store,
    async seal(signer, changes = {}) {
      const entries = await entriesOf(store, sealed);
      sequence += 1;
      const payload = canonicalBytes(
        makeSeal({
          archive_id,
          host,
          sequence,
          sealed_at: new Date(firstSealedAt.getTime() + (sequence - 1) * 60 * 60 * 1000).toISOString(),
          previous_sha256,
          key_id: signer.keyId,
          next_key: null,
          entries,
          ledger: emptyLedger,
          tombstones: [],
          holds: [],
          policies: [],
          damages: [],
          ...changes,
        }),
      );
      await put(store, sealKey(sequence), await signSeal(payload, signer));
      for (const entry of entries) sealed.set(entry.key, entry);
      previous_sha256 = hashOf(payload);
      return previous_sha256;
    },
    addJob: (jobId, text) => addJob(store, jobId, Buffer.from(text)),
    async addRun(attempt, jobIds) {
      const ids = { repository_id: 1, run_id: 2, run_attempt: attempt };
      const times = { run_received_at: "2026-05-01T10:05:00.000Z", repository: "acme/app", host };
      await putRunRecord(store, host, ids, { ...ids, ...times, run: { id: 2 }, job_ids: [...jobIds] });
    },
    entryOf(key) {
      const entry = sealed.get(key);
      if (!entry) throw new Error(`${key} is not sealed`);
      return entry;
    },
  };
}

const emptyLedger: NewSeal["ledger"] = {
  windows: [],
  windows_left_out: 0,
  attempts: [],
  attempts_left_out: 0,
  full_seconds: [],
  full_seconds_left_out: 0,
  open_obligations: { pending: 0, failed: 0 },
  gaps: {},
};

async function entriesOf(store: Store, sealed: ReadonlyMap<string, SealEntry>): Promise<SealEntry[]> {
  const entries: SealEntry[] = [];
  for await (const { key } of store.list("")) {
    if (sealed.has(key) || key.startsWith("seals/") || key.startsWith("probe/")) continue;
    const bytes = (await store.read(key)) ?? Buffer.alloc(0);
    entries.push({ key, version_id: (await store.head(key))?.versionId ?? null, size: bytes.length, sha256: hashOf(bytes) });
  }
  return entries;
}

async function addJob(store: Store, jobId: number, text: Buffer): Promise<string> {
  const encoder = new LogEncoder();
  const first = encoder.write(text);
  const { stored, totals } = encoder.end();
  const { key } = await putLog(store, host, refOf(jobId), Buffer.concat([...first, ...stored]), totals);
  const log: ArchivedLog = {
    state: "archived",
    flags: [],
    key,
    version_id: null,
    raw_bytes: totals.rawBytes,
    raw_sha256: totals.rawSha256,
    stored_bytes: totals.storedBytes,
    stored_sha256: totals.storedSha256,
    lines: totals.lines,
    first_time: null,
    last_time: null,
    oddities: { bom: false, crlf: 0, nul: 0, lines_without_time: totals.lines },
  };
  await putRecord(store, host, refOf(jobId), recordOf(jobId, log));
  return key;
}

export function recordOf(jobId: number, log: LogRecord["log"]): Omit<LogRecord, "schema_version" | "previous_sha256"> {
  return {
    host,
    repository: "acme/app",
    ...refOf(jobId),
    run_attempt: 1,
    last_listed_attempt: 1,
    job: { id: jobId, run_id: 2 },
    job_source: "listing",
    job_received_at: "2026-05-01T10:05:00.000Z",
    log,
    decided_at: "2026-05-01T10:06:00.000Z",
  };
}

export const firstRecordOf = (jobId: number) => recordKey(host, refOf(jobId), 1);

export async function put(store: Store, key: string, bytes: Buffer): Promise<void> {
  await store.put(key, bytes, { sha256: hashOf(bytes), contentType: "application/json" });
}

function hashOf(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}
