// Walks every link of the chain of seals. A verifier that checks only both ends accepts a forged middle
// (https://github.com/codenotary/immudb/security/advisories/GHSA-672p-m5jq-mrh8).

import { createPublicKey, type KeyObject } from "node:crypto";

import { PermanentError } from "@actions-archive/core/errors";
import { sealKey, tryParseKey } from "@actions-archive/core/object-key";

import { type ReadSeal, readSeal } from "../seal/seal-envelope.ts";
import { keyIdOf } from "../seal/seal-key.ts";
import { type Correction, noPreviousSeal, type Seal } from "../seal/seal.ts";
import { readDocument } from "../store/read-document.ts";
import { isCorrupt, type Store } from "../store/store.ts";
import type { Findings } from "./findings.ts";

export type ChainLink = Pick<
  Seal,
  "sequence" | "archive_id" | "host" | "sealed_at" | "previous_sha256" | "key_id" | "ledger" | "operator"
> & {
  readonly key: string;
  /** Hash of the payload. */
  readonly sha256: string;
  readonly nextKeyId: string | null;
  readonly entries: number;
  /** Corrections of earlier seals. */
  readonly corrections: readonly Correction[];
  /** Signed by a given key, or by a key that a signed seal announces. */
  readonly isSigned: boolean;
  /** Signed, or its hash is in the next seal, which is authentic. */
  isAuthentic: boolean;
};

export type Chain = {
  /** The authentic seals in order. */
  readonly links: readonly ChainLink[];
  /** The newest authentic seal. */
  readonly head: ChainLink | undefined;
  /** Sequence numbers of all objects under seals/. */
  readonly seen: ReadonlySet<number>;
  /** The given keys and the keys that their seals announced, by key id. */
  readonly trusted: ReadonlyMap<string, KeyObject>;
  /** A seal is missing or invalid: its objects cannot be distinguished from unsealed ones. */
  readonly isDamaged: boolean;
};

export type ExpectedHead = { readonly sequence: number; readonly sha256: string };

export type WalkOptions = {
  readonly keys: readonly KeyObject[];
  readonly findings: Findings;
  readonly expectedHead?: ExpectedHead | undefined;
  readonly onSeal?: (done: number, total: number) => void;
  readonly signal?: AbortSignal | undefined;
};

/** A seal is read into memory, so a larger object is refused. The largest possible seal has a quarter of this. */
const maxSealBytes = 256 * 1024 * 1024;
/** Missing seals are reported one by one up to this number: a planted seal may have any sequence number. */
const maxHoleLength = 100;

/** Reads and checks all seals, one at a time. @throws the store's errors when it cannot be read. */
export async function walkChain(store: Store, options: WalkOptions): Promise<Chain> {
  const { findings, expectedHead, onSeal, signal } = options;
  const sequences = await listSequences(store, findings);
  const walk: Walk = {
    findings,
    trusted: new Map(options.keys.map((key) => [keyIdOf(key), key])),
    expectedKeyId: undefined,
    isAfterHole: false,
  };
  const links: ChainLink[] = [];
  let isDamaged = reportHoles(sequences, findings);
  for (const [index, sequence] of sequences.entries()) {
    signal?.throwIfAborted();
    if (sequence !== (sequences[index - 1] ?? 0) + 1) walk.isAfterHole = true;
    const link = await readLink(store, sequence, walk);
    if (link) links.push(link);
    else [isDamaged, walk.isAfterHole] = [true, true];
    onSeal?.(index + 1, sequences.length);
  }
  if (sequences.length > 0 && !links.some(({ isSigned }) => isSigned)) reportUnsigned(links, sequences, options);
  authenticate(links, findings);
  const authentic = links.filter(({ isAuthentic }) => isAuthentic);
  const head = authentic.at(-1);
  if (head) checkLinks(authentic, head, findings);
  if (head) checkHosts(authentic, head, findings);
  if (expectedHead) checkHead(authentic, expectedHead, findings);
  const seen = new Set(sequences);
  return { links: authentic, head, seen, trusted: walk.trusted, isDamaged: isDamaged || authentic.length < sequences.length };
}

/** Reads the seals made since `chain` was walked. Stops at one that does not follow, which the next verification will report. */
export async function* readLaterSeals(store: Store, { head, trusted }: Chain): AsyncIterable<Seal> {
  if (!head) return;
  let [sequence, sha256, keyId] = [head.sequence + 1, head.sha256, head.nextKeyId ?? head.key_id];
  for (; ; sequence += 1) {
    const read = await tryReadSeal(store, sealKey(sequence));
    const publicKey = trusted.get(keyId);
    const follows = read?.seal.sequence === sequence && read.seal.previous_sha256 === sha256;
    if (!read || !publicKey || !follows || !read.isSignedBy(publicKey)) return;
    yield read.seal;
    sha256 = read.sha256;
    // A key that a new seal announces is not trusted here either: the next verification checks it.
    keyId = read.seal.next_key?.key_id ?? keyId;
  }
}

async function tryReadSeal(store: Store, key: string): Promise<ReadSeal | undefined> {
  try {
    return await readDocument(store, key, (bytes) => readSeal(bytes, key));
  } catch (error) {
    if (isCorrupt(error)) return undefined;
    throw error;
  }
}

type Walk = {
  readonly findings: Findings;
  /** Given and announced keys by key id. */
  readonly trusted: Map<string, KeyObject>;
  /** The key that must sign the next seal; undefined until a seal is signed by a trusted key. */
  expectedKeyId: string | undefined;
  /** A seal that cannot be read may have announced another key. */
  isAfterHole: boolean;
};

async function listSequences(store: Store, findings: Findings): Promise<number[]> {
  const sequences: number[] = [];
  for await (const { key, sizeBytes } of store.list("seals/")) {
    const parsed = tryParseKey(key);
    if (parsed?.kind !== "seal") continue;
    if (sizeBytes > maxSealBytes) findings.tamper("invalid", key, `has ${sizeBytes} bytes, more than any seal`);
    else sequences.push(parsed.sequence);
  }
  return sequences.toSorted((a, b) => a - b);
}

function reportHoles(sequences: readonly number[], findings: Findings): boolean {
  let isDamaged = false;
  for (const [index, sequence] of sequences.entries()) {
    const first = (sequences[index - 1] ?? 0) + 1;
    for (let missing = first; missing < Math.min(sequence, first + maxHoleLength); missing += 1) {
      isDamaged = true;
      const isLastReported = missing === first + maxHoleLength - 1 && missing < sequence - 1;
      const rest = isLastReported ? `; so are all others before seal ${sequence}` : "";
      findings.tamper("missing", sealKey(missing), `is missing, although the later seal ${sequence} exists${rest}`);
    }
  }
  return isDamaged;
}

async function readLink(store: Store, sequence: number, walk: Walk): Promise<ChainLink | undefined> {
  const key = sealKey(sequence);
  const read = await readOne(store, key, walk);
  if (!read) return undefined;
  const { seal, sha256 } = read;
  if (seal.sequence !== sequence) {
    walk.findings.tamper("broken chain", key, `holds seal ${seal.sequence}`);
    return undefined;
  }
  const isSigned = checkSigner(read, key, walk);
  if (isSigned === undefined) return undefined;
  const { archive_id, host, sealed_at, previous_sha256, key_id, ledger, next_key, entries, operator, corrections = [] } = seal;
  return {
    sequence,
    archive_id,
    host,
    sealed_at,
    previous_sha256,
    key_id,
    ledger,
    operator,
    key,
    sha256,
    nextKeyId: next_key?.key_id ?? null,
    entries: entries.length,
    corrections,
    isSigned,
    isAuthentic: isSigned,
  };
}

async function readOne(store: Store, key: string, { findings, trusted }: Walk): Promise<ReadSeal | undefined> {
  try {
    const read = await readDocument(store, key, (bytes) => {
      const found = readSeal(bytes, key);
      const publicKey = trusted.get(found.seal.key_id);
      if (!publicKey || found.isSignedBy(publicKey)) return found;
      throw new PermanentError("store/corrupt", `is not signed by its key ${found.seal.key_id}`);
    });
    if (read) return read;
    findings.tamper("missing", key, "is listed but cannot be read");
  } catch (error) {
    if (!isCorrupt(error)) throw error;
    findings.tamper("invalid", key, error.message);
  }
  return undefined;
}

/**
 * True if the expected key signed the seal, false if its key is unknown, undefined if it was tampered with. `readOne` has verified the
 * signatures of trusted keys.
 */
function checkSigner({ seal }: ReadSeal, key: string, walk: Walk): boolean | undefined {
  const publicKey = walk.trusted.get(seal.key_id);
  if (walk.expectedKeyId !== undefined && seal.key_id !== walk.expectedKeyId) {
    if (!walk.isAfterHole) {
      walk.findings.tamper("invalid", key, `is signed by the key ${seal.key_id} instead of ${walk.expectedKeyId}`);
      return undefined;
    }
    if (!publicKey) {
      walk.findings.tamper("broken chain", key, `is signed by the key ${seal.key_id}, which no readable seal announces`);
      walk.expectedKeyId = undefined;
      return false;
    }
  }
  if (!publicKey) return false;
  walk.isAfterHole = false;
  walk.expectedKeyId = seal.key_id;
  if (seal.next_key) {
    const next = tryReadKey(seal.next_key.public_key);
    if (!next || keyIdOf(next) !== seal.next_key.key_id) {
      walk.findings.tamper("invalid", key, "announces an invalid key, or a key with another id");
      return undefined;
    }
    walk.trusted.set(seal.next_key.key_id, next);
    walk.expectedKeyId = seal.next_key.key_id;
  }
  return true;
}

function tryReadKey(base64: string): KeyObject | undefined {
  try {
    const key = createPublicKey({ key: Buffer.from(base64, "base64"), format: "der", type: "spki" });
    return key.asymmetricKeyType === "ed25519" ? key : undefined;
  } catch {
    return undefined;
  }
}

function reportUnsigned(links: readonly ChainLink[], sequences: readonly number[], { keys, findings }: WalkOptions): void {
  const given = keys.map(keyIdOf).join(", ");
  const found = [...new Set(links.map(({ key_id }) => key_id))].join(", ") || "none that is readable";
  const key = sealKey(sequences.at(-1) ?? 1);
  findings.tamper("invalid", key, `no seal of this chain is signed by a given key: given ${given}; in the chain ${found}`);
}

// A seal with an unknown key is authentic if the next seal is authentic and names its hash.
function authenticate(links: readonly ChainLink[], findings: Findings): void {
  for (let index = links.length - 2; index >= 0; index -= 1) {
    const [link, next] = [links[index], links[index + 1]];
    if (!link || !next || link.isSigned || next.sequence !== link.sequence + 1 || !next.isAuthentic) continue;
    if (next.previous_sha256 === link.sha256) link.isAuthentic = true;
    else findings.tamper("invalid", link.key, `is not the seal that ${next.key} names as its previous seal`);
  }
}

function checkLinks(links: readonly ChainLink[], head: ChainLink, findings: Findings): void {
  for (const [index, link] of links.entries()) {
    const before = links[index - 1];
    if (link.archive_id !== head.archive_id)
      findings.tamper("invalid", link.key, `belongs to archive ${link.archive_id}, but the newest seal to ${head.archive_id}`);
    if (link.sequence === 1 && link.previous_sha256 !== noPreviousSeal)
      findings.tamper("broken chain", link.key, "is the first seal, but names a previous seal");
    if (before?.sequence !== link.sequence - 1) continue;
    if (before.sha256 !== link.previous_sha256)
      findings.tamper("broken chain", link.key, `does not name ${before.key} as its previous seal`);
    // The database's clock can go back when another server takes over; the order of the chain does not depend on it.
    if (Date.parse(link.sealed_at) < Date.parse(before.sealed_at))
      findings.notice("clock", link.key, `was sealed at ${link.sealed_at}, but the previous seal at ${before.sealed_at}`);
  }
}

// A seal with another host than the newest seal is tampering, unless a later seal corrects exactly this host of exactly this seal. A
// correction is reported with its reason, which an auditor judges.
function checkHosts(links: readonly ChainLink[], head: ChainLink, findings: Findings): void {
  const corrections = new Map<number, Correction & { readonly by: ChainLink }>();
  for (const by of links) for (const each of by.corrections) corrections.set(each.sequence, { ...each, by });
  for (const link of links) {
    const correction = corrections.get(link.sequence);
    const isCorrected =
      correction !== undefined &&
      correction.by.sequence > link.sequence &&
      correction.sha256 === link.sha256 &&
      correction.host === link.host &&
      correction.correct_host === head.host;
    if (isCorrected)
      findings.notice(
        "corrected",
        link.key,
        `names the host ${link.host}; ${correction.by.key} of ${correction.by.sealed_at} corrects it to ${head.host}: ${correction.reason}`,
      );
    else if (correction !== undefined)
      findings.tamper("invalid", correction.by.key, `corrects ${link.key}, but does not match its contents`);
    if (link.host !== head.host && !isCorrected)
      findings.tamper(
        "invalid",
        link.key,
        `has the host ${link.host}, but the newest seal ${head.host}; no later seal corrects it`,
      );
  }
}

function checkHead(links: readonly ChainLink[], { sequence, sha256 }: ExpectedHead, findings: Findings): void {
  const link = links.find((each) => each.sequence === sequence);
  if (!link) {
    const end = links.at(-1);
    const text = end ? `the chain ends with seal ${end.sequence}, or this seal is not trusted` : "there is no chain of seals";
    findings.tamper("missing", sealKey(sequence), `is the expected head: ${text}`);
  } else if (link.sha256 !== sha256) {
    findings.tamper("invalid", link.key, `has the hash ${link.sha256} instead of the expected ${sha256}`);
  }
}
