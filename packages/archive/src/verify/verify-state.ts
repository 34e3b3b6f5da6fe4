// The shared state of a verification: its scope, the index, findings and counts.

import type { Damage } from "../seal/seal.ts";
import { mark, type SealedIndex } from "../seal/sealed-index.ts";
import type { Store } from "../store/store.ts";
import type { Findings, TamperVerdict } from "./findings.ts";
import type { Chain } from "./verify-chain.ts";

export type Span = { readonly since?: Date | undefined; readonly until?: Date | undefined };

export type Totals = {
  /** Listed objects, without `probe/`. */
  listed: number;
  records: number;
  runRecords: number;
  /** Logs whose metadata was read. */
  logs: number;
  /** Logs that were read completely. */
  logsRead: number;
  storedBytesRead: number;
  rawBytesRead: number;
  /** Sealed logs that were removed and have a tombstone. */
  removed: number;
  /** Logs without metadata, as in a copied folder. */
  withoutMetadata: number;
};

export type Verification = {
  readonly store: Store;
  readonly chain: Chain;
  readonly index: SealedIndex;
  readonly findings: Findings;
  readonly totals: Totals;
  /** The last damage in the chain for each key. */
  readonly damages: ReadonlyMap<string, Damage & { readonly sequence: number }>;
  /** Sequences of the seals whose entries are checked. */
  readonly spanned: ReadonlySet<number>;
  /** Whether to read the complete log. */
  readonly isDeep: () => boolean;
  /** Objects older than this must be in a seal. */
  readonly sealedBefore: Date;
  /** Findings that may be dropped after all objects were listed: damage that a seal admits, and logs removed during the verification. */
  readonly deferred: { readonly verdict: TamperVerdict; readonly key: string; readonly detail: string }[];
  readonly signal?: AbortSignal | undefined;
};

/** Bounds the memory for a store that lost everything. Far fewer logs are removed during one verification. */
const maxDeferred = 100_000;

export function newTotals(): Totals {
  return {
    listed: 0,
    records: 0,
    runRecords: 0,
    logs: 0,
    logsRead: 0,
    storedBytesRead: 0,
    rawBytesRead: 0,
    removed: 0,
    withoutMetadata: 0,
  };
}

/** Reports tampering with an object, or defers the finding if it may be dropped at the end. */
export function tamper(verification: Verification, verdict: TamperVerdict, key: string, detail: string): void {
  const { damages, findings, deferred, index } = verification;
  const row = index.find(key);
  if (row !== undefined && verdict === "invalid") index.set(row, mark.isBroken);
  const isDeferred = damages.has(key) || (verdict === "missing" && key.startsWith("logs/") && deferred.length < maxDeferred);
  if (isDeferred) deferred.push({ verdict, key, detail });
  else findings.tamper(verdict, key, detail);
}

/** Whether the entry of this row is in the span. Unsealed objects always are. */
export function isSpanned({ index, spanned }: Verification, row: number): boolean {
  const sequence = index.sealOf(row);
  return sequence === 0 || spanned.has(sequence);
}
