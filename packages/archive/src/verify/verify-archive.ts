// Verifies an archive from its objects and a public key, without database, queue or GitHub.

import { createHash, type KeyObject } from "node:crypto";

import { PermanentError, TransientError } from "@actions-archive/core/errors";
import { tryParseKey } from "@actions-archive/core/object-key";
import { z } from "zod";

import type { Damage, Seal, SealEntry, Tombstone } from "../seal/seal.ts";
import { mark, SealedIndex } from "../seal/sealed-index.ts";
import { forEachConcurrent } from "../store/for-each-concurrent.ts";
import { readDocument } from "../store/read-document.ts";
import { isCorrupt, type Store } from "../store/store.ts";
import { Findings } from "./findings.ts";
import { checkListing, listObjects, type ToVerify } from "./listing.ts";
import { type Chain, type ChainLink, type ExpectedHead, readLaterSeals, walkChain } from "./verify-chain.ts";
import { verifyLooseLog } from "./verify-log.ts";
import { verifyIdentity, verifyJob, verifyRunRecord } from "./verify-records.ts";
import { newTotals, type Span, tamper, type Totals, type Verification } from "./verify-state.ts";

export type VerifyOptions = {
  /** Any of them may have signed the first seal of the chain or a later one. */
  readonly keys: readonly KeyObject[];
  /** Only objects in seals of this span are checked; the chain is always walked completely. */
  readonly span?: Span;
  /** Whether to read the complete log; called once for each log. */
  readonly isDeep: () => boolean;
  readonly expectedHead?: ExpectedHead | undefined;
  /** The interval at which the archive seals. */
  readonly sealIntervalSeconds: number;
  readonly onProgress?: (progress: VerifyProgress) => void;
  readonly signal?: AbortSignal | undefined;
};

export type VerifyProgress = { readonly done: number; readonly total: number; readonly unit: "seals" | "objects" };

export type VerifyResult = {
  readonly chain: Chain;
  readonly findings: Findings;
  readonly totals: Totals;
  /** The sealed hash and size of each key, with flags. */
  readonly index: SealedIndex;
  /** Number of seals whose entries were checked, with their entries and bytes. */
  readonly sealed: { readonly seals: number; readonly entries: number; readonly bytes: number };
  readonly hasVersions: boolean;
};

/** Concurrent reads from the store. More of them only need more memory. */
const atOnce = 16;

/** Verifies the archive. Writes nothing. @throws the store's errors when it cannot be read: then nothing is proven. */
export async function verifyArchive(store: Store, options: VerifyOptions): Promise<VerifyResult> {
  const { span = {}, onProgress, signal, sealIntervalSeconds } = options;
  const findings = new Findings();
  const chain = await walkChain(store, {
    ...options,
    findings,
    onSeal: (done, total) => onProgress?.({ done, total, unit: "seals" }),
  });
  const { index, damages, bytes } = await indexSeals(store, chain, { findings, span, signal });
  const spanned = chain.links.filter(({ sealed_at }) => isWithin(sealed_at, span));
  const verification: Verification = {
    store,
    chain,
    index,
    findings,
    damages,
    signal,
    totals: newTotals(),
    spanned: new Set(spanned.map(({ sequence }) => sequence)),
    isDeep: options.isDeep,
    sealedBefore: new Date(Date.parse(chain.head?.sealed_at ?? "1970-01-01T00:00:00Z") - 2 * sealIntervalSeconds * 1000),
    deferred: [],
  };
  const { objects, hasVersions } = await listObjects(store);
  const total = index.size;
  await forEachConcurrent(checkListing(verification, objects), atOnce, async (object) => {
    await verifyObject(verification, object);
    onProgress?.({ done: verification.totals.listed, total: Math.max(total, verification.totals.listed), unit: "objects" });
  });
  for (const link of spanned) await checkEntries(verification, link);
  await resolveDeferred(verification);
  reportDamages(verification);
  reportGaps(chain, findings);
  const sealed = { seals: spanned.length, entries: spanned.reduce((sum, { entries }) => sum + entries, 0), bytes };
  return { chain, findings, totals: verification.totals, index, sealed, hasVersions };
}

async function verifyObject(verification: Verification, object: ToVerify): Promise<void> {
  switch (object.kind) {
    case "job":
      return verifyJob(verification, object);
    case "run":
      return verifyRunRecord(verification, object.key);
    case "identity":
      return verifyIdentity(verification, object.key);
  }
}

function isWithin(sealedAt: string, { since, until }: Span): boolean {
  const at = new Date(sealedAt);
  return (since === undefined || at >= since) && (until === undefined || at < until);
}

type IndexRequest = { readonly findings: Findings; readonly span: Span; readonly signal?: AbortSignal | undefined };

async function indexSeals(store: Store, chain: Chain, { findings, span, signal }: IndexRequest) {
  const index = new SealedIndex();
  const damages = new Map<string, Damage & { sequence: number }>();
  /** Keys with a tombstone that was sealed before the object. */
  const early = new Set<string>();
  let bytes = 0;
  for (const link of chain.links) {
    signal?.throwIfAborted();
    const seal = await readSealAgain(store, link);
    for (const entry of seal.entries) {
      addEntry(index, entry, { link, findings, isEarly: early.has(entry.key) });
      if (isWithin(link.sealed_at, span)) bytes += entry.size;
    }
    for (const tombstone of seal.tombstones) addTombstone(index, tombstone, { link, early });
    for (const damage of seal.damages) {
      // A later entry for the same damage may lack the repair.
      const repaired_by = damage.repaired_by ?? damages.get(damage.key)?.repaired_by ?? null;
      damages.set(damage.key, { ...damage, repaired_by, sequence: link.sequence });
    }
  }
  return { index, damages, bytes };
}

type TombstoneContext = { readonly link: ChainLink; readonly early: Set<string> };

function addTombstone(index: SealedIndex, { key, size, sha256 }: Tombstone, { link, early }: TombstoneContext): void {
  const row = index.find(key);
  if (row === undefined) {
    early.add(key);
    index.set(index.put({ key, size, sha256 }, link.sequence), mark.isTombstoned);
  } else if (index.sha256Of(row) === sha256 && index.sizeOf(row) === size) {
    index.set(row, mark.isTombstoned);
  }
}

type EntryContext = { readonly link: ChainLink; readonly findings: Findings; readonly isEarly: boolean };

function addEntry(index: SealedIndex, entry: SealEntry, { link, findings, isEarly }: EntryContext): void {
  const row = index.find(entry.key);
  if (row !== undefined && (index.sha256Of(row) !== entry.sha256 || index.sizeOf(row) !== entry.size)) {
    findings.tamper("invalid", entry.key, `has different bytes in seals ${index.sealOf(row)} and ${link.sequence}`);
    return;
  }
  index.put(entry, link.sequence);
  if (row === undefined || isEarly) return;
  index.set(row, mark.isSealedAgain);
  // If it was removed before, it must exist again.
  index.set(row, mark.isTombstoned, false);
}

const Envelope = z.object({ payload: z.base64() });

/**
 * Reads the seal of a link again. The walk has verified it, and the hash shows that it has not changed.
 * @throws TransientError when it has changed.
 */
export async function readSealAgain(store: Store, { key, sha256 }: ChainLink): Promise<Seal> {
  const changed = `${key} in ${store.url} changed during the verification`;
  try {
    const payload = await readDocument(store, key, (bytes) => {
      const found = payloadOf(bytes);
      if (createHash("sha256").update(found).digest("hex") !== sha256) throw new PermanentError("store/corrupt", changed);
      return found;
    });
    // The walk has parsed the same bytes.
    if (payload) return JSON.parse(payload.toString("utf8")) as Seal;
  } catch (error) {
    if (!isCorrupt(error)) throw error;
  }
  throw new TransientError("store/unavailable", `${changed}. Verify again.`);
}

/** The payload; empty if the bytes are not an envelope. */
function payloadOf(bytes: Buffer): Buffer {
  try {
    return Buffer.from(Envelope.parse(JSON.parse(bytes.toString("utf8"))).payload, "base64");
  } catch {
    return Buffer.alloc(0);
  }
}

// Reads the seals again for the keys of missing objects, which the index does not keep.
async function checkEntries(verification: Verification, link: ChainLink): Promise<void> {
  const { store, index, totals, signal } = verification;
  const loose: { readonly key: string; readonly row: number }[] = [];
  for (const { key } of (await readSealAgain(store, link)).entries) {
    const row = index.find(key);
    // If a later seal also contains the object, that one counts, since the object may have been removed after it.
    if (row === undefined || index.sealOf(row) !== link.sequence) continue;
    if (!index.has(row, mark.isPresent)) {
      if (index.has(row, mark.isTombstoned)) totals.removed += 1;
      else tamper(verification, "missing", key, `is in seal ${link.sequence} of ${link.sealed_at}`);
    } else if (!index.has(row, mark.isNamed) && !index.has(row, mark.isBroken) && !index.has(row, mark.isTombstoned)) {
      if (tryParseKey(key)?.kind === "log") loose.push({ key, row });
    }
  }
  signal?.throwIfAborted();
  await forEachConcurrent(iterate(loose), atOnce, ({ key, row }) => verifyLooseLog(verification, key, row));
}

async function* iterate<T>(items: readonly T[]): AsyncIterable<T> {
  yield* items;
}

// Damage that a seal admits is not tampering once its repair exists. A running archive may also remove logs during the verification.
async function resolveDeferred(verification: Verification): Promise<void> {
  const { store, chain, damages, deferred, index, findings, totals } = verification;
  const later = new Map<string, Tombstone>();
  if (deferred.some(({ verdict }) => verdict === "missing"))
    for await (const { tombstones } of readLaterSeals(store, chain))
      for (const tombstone of tombstones) later.set(tombstone.key, tombstone);
  for (const { verdict, key, detail } of deferred) {
    const [row, tombstone] = [index.find(key), later.get(key)];
    const isRemoved = row !== undefined && tombstone?.sha256 === index.sha256Of(row) && tombstone.size === index.sizeOf(row);
    if (verdict === "missing" && isRemoved) totals.removed += 1;
    else if (!isRepaired(index, key, damages.get(key)?.repaired_by)) findings.tamper(verdict, key, detail);
  }
}

function reportDamages({ damages, index, findings }: Verification): void {
  for (const { key, finding, sequence, repaired_by } of damages.values()) {
    const repaired = isRepaired(index, key, repaired_by) ? `; ${repaired_by} replaces it` : "; nothing replaces it";
    findings.notice("damaged", key, `is ${finding} according to seal ${sequence}${repaired}`);
  }
}

function isRepaired(index: SealedIndex, key: string, repair: string | null | undefined): boolean {
  if (repair === null || repair === undefined) return false;
  const [damaged, replacement] = [tryParseKey(key), tryParseKey(repair)];
  const isSameJob =
    damaged?.kind === "log" &&
    replacement?.kind === "log" &&
    damaged.job_id === replacement.job_id &&
    damaged.run_id === replacement.run_id;
  const row = index.find(repair);
  return isSameJob && row !== undefined && index.has(row, mark.isPresent) && !index.has(row, mark.isBroken);
}

function reportGaps({ head }: Chain, findings: Findings): void {
  if (!head) return;
  const { gaps, open_obligations: open } = head.ledger;
  for (const [kind, count] of Object.entries(gaps))
    if (count > 0) findings.notice("known gaps", kind, `${count} according to ${head.key}`);
  if (open.pending + open.failed > 0)
    findings.notice("known gaps", "logs", `${open.pending} pending and ${open.failed} failed according to ${head.key}`);
}
