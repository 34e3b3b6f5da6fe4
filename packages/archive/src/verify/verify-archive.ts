// Verifies a whole archive from its objects and a public key: no database, no queue, no GitHub.

import { createHash, type KeyObject } from "node:crypto";

import { PermanentError, TransientError } from "@actions-archive/core/errors";
import { tryParseKey } from "@actions-archive/core/object-key";
import { z } from "zod";

import type { Damage, Seal, SealEntry, Tombstone } from "../seal/seal.ts";
import { mark, SealedIndex } from "../seal/sealed-index.ts";
import { eachOf } from "../store/each-of.ts";
import { readDocument } from "../store/read-document.ts";
import { isCorrupt, type Store } from "../store/store.ts";
import { Findings } from "./findings.ts";
import { checkListing, listObjects, type ToVerify } from "./listing.ts";
import { type Chain, type ChainLink, type ExpectedHead, readLaterSeals, walkChain } from "./verify-chain.ts";
import { verifyLooseLog } from "./verify-log.ts";
import { verifyIdentity, verifyJob, verifyRunRecord } from "./verify-records.ts";
import { newTotals, type Span, tamper, type Totals, type Verification } from "./verify-state.ts";

export type VerifyOptions = {
  /** Any of them may sign the chain's first seal or a later one. */
  readonly keys: readonly KeyObject[];
  /** Only what seals of this time hold is checked; the chain is walked whole. */
  readonly span?: Span;
  /** True for a log that is to be read from end to end; asked once a log. */
  readonly isDeep: () => boolean;
  readonly expectedHead?: ExpectedHead | undefined;
  /** How often the archive seals. */
  readonly sealIntervalSeconds: number;
  readonly onProgress?: (progress: VerifyProgress) => void;
  readonly signal?: AbortSignal | undefined;
};

export type VerifyProgress = { readonly done: number; readonly total: number; readonly unit: "seals" | "objects" };

export type VerifyResult = {
  readonly chain: Chain;
  readonly findings: Findings;
  readonly totals: Totals;
  /** What the seals say of each key, and what was found broken. */
  readonly index: SealedIndex;
  /** Entries and bytes of the seals whose entries were checked. */
  readonly sealed: { readonly seals: number; readonly entries: number; readonly bytes: number };
  readonly hasVersions: boolean;
};

/** Reads from the store overlap; more of them only hold more memory. */
const atOnce = 16;

/** Never writes. @throws what the store throws when it cannot be read: then nothing is proven. */
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
  await eachOf(checkListing(verification, objects), atOnce, async (object) => {
    await verifyObject(verification, object);
    onProgress?.({ done: verification.totals.listed, total: Math.max(total, verification.totals.listed), unit: "objects" });
  });
  for (const link of spanned) await checkEntries(verification, link);
  await settleDeferred(verification);
  tellDamages(verification);
  tellGaps(chain, findings);
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
  /** Decided while the object waited for its seal. */
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
      // A repair that was told once stays one.
      const repaired_by = damage.repaired_by ?? damages.get(damage.key)?.repaired_by ?? null;
      damages.set(damage.key, { ...damage, repaired_by, sequence: link.sequence });
    }
  }
  return { index, damages, bytes };
}

type Burying = { readonly link: ChainLink; readonly early: Set<string> };

function addTombstone(index: SealedIndex, { key, size, sha256 }: Tombstone, { link, early }: Burying): void {
  const row = index.find(key);
  if (row === undefined) {
    early.add(key);
    index.set(index.put({ key, size, sha256 }, link.sequence), mark.isTombstoned);
  } else if (index.sha256Of(row) === sha256 && index.sizeOf(row) === size) {
    index.set(row, mark.isTombstoned);
  }
}

type Placing = { readonly link: ChainLink; readonly findings: Findings; readonly isEarly: boolean };

function addEntry(index: SealedIndex, entry: SealEntry, { link, findings, isEarly }: Placing): void {
  const row = index.find(entry.key);
  if (row !== undefined && (index.sha256Of(row) !== entry.sha256 || index.sizeOf(row) !== entry.size)) {
    findings.tamper("invalid", entry.key, `seals ${index.sealOf(row)} and ${link.sequence} hold it with different bytes`);
    return;
  }
  index.put(entry, link.sequence);
  if (row === undefined || isEarly) return;
  index.set(row, mark.isSealedAgain);
  // After it was removed: then it must be there again.
  index.set(row, mark.isTombstoned, false);
}

const Envelope = z.object({ payload: z.base64() });

/**
 * The seal of a link once more: the walk has checked its form and signature, and the hash says that it is the same.
 * @throws TransientError when it is not.
 */
export async function readSealAgain(store: Store, { key, sha256 }: ChainLink): Promise<Seal> {
  const changed = `${key} in ${store.url} changed while it was verified`;
  try {
    const payload = await readDocument(store, key, (bytes) => {
      const found = payloadOf(bytes);
      if (createHash("sha256").update(found).digest("hex") !== sha256) throw new PermanentError("store/corrupt", changed);
      return found;
    });
    // The bytes that the walk has parsed.
    if (payload) return JSON.parse(payload.toString("utf8")) as Seal;
  } catch (error) {
    if (!isCorrupt(error)) throw error;
  }
  throw new TransientError("store/unavailable", `${changed}. Verify again.`);
}

/** Nothing, for what is no seal. */
function payloadOf(bytes: Buffer): Buffer {
  try {
    return Buffer.from(Envelope.parse(JSON.parse(bytes.toString("utf8"))).payload, "base64");
  } catch {
    return Buffer.alloc(0);
  }
}

// The seals are read once more for the names of what is missing: the index keeps none.
async function checkEntries(verification: Verification, link: ChainLink): Promise<void> {
  const { store, index, totals, signal } = verification;
  const loose: { readonly key: string; readonly row: number }[] = [];
  for (const { key } of (await readSealAgain(store, link)).entries) {
    const row = index.find(key);
    // A later seal that holds it too, and may have been followed by its removal, is the one that counts.
    if (row === undefined || index.sealOf(row) !== link.sequence) continue;
    if (!index.has(row, mark.isPresent)) {
      if (index.has(row, mark.isTombstoned)) totals.removed += 1;
      else tamper(verification, "missing", key, `seal ${link.sequence} of ${link.sealed_at} holds it`);
    } else if (!index.has(row, mark.isNamed) && !index.has(row, mark.isBroken) && !index.has(row, mark.isTombstoned)) {
      if (tryParseKey(key)?.kind === "log") loose.push({ key, row });
    }
  }
  signal?.throwIfAborted();
  await eachOf(iterate(loose), atOnce, ({ key, row }) => verifyLooseLog(verification, key, row));
}

async function* iterate<T>(items: readonly T[]): AsyncIterable<T> {
  yield* items;
}

// What the archive itself found is no secret of an attacker's, once what repairs it is there; and an archive that lives removes logs.
async function settleDeferred(verification: Verification): Promise<void> {
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

function tellDamages({ damages, index, findings }: Verification): void {
  for (const { key, finding, sequence, repaired_by } of damages.values()) {
    const repaired = isRepaired(index, key, repaired_by)
      ? `; ${repaired_by} has taken its place`
      : "; nothing has taken its place";
    findings.notice("damaged", key, `seal ${sequence} says that it is ${finding}${repaired}`);
  }
}

function isRepaired(index: SealedIndex, key: string, repair: string | null | undefined): boolean {
  if (repair === null || repair === undefined) return false;
  const [damaged, whole] = [tryParseKey(key), tryParseKey(repair)];
  const isSameJob =
    damaged?.kind === "log" && whole?.kind === "log" && damaged.job_id === whole.job_id && damaged.run_id === whole.run_id;
  const row = index.find(repair);
  return isSameJob && row !== undefined && index.has(row, mark.isPresent) && !index.has(row, mark.isBroken);
}

function tellGaps({ head }: Chain, findings: Findings): void {
  if (!head) return;
  const { gaps, open_obligations: open } = head.ledger;
  for (const [kind, count] of Object.entries(gaps))
    if (count > 0) findings.notice("known gaps", kind, `${count}, by ${head.key}`);
  if (open.pending + open.failed > 0)
    findings.notice("known gaps", "logs", `${open.pending} pending and ${open.failed} failed, by ${head.key}`);
}
