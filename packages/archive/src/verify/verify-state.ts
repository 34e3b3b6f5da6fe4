// What the parts of a verification share: what is verified, how deeply, what is known by now and what was counted.

import type { Damage } from "../seal/seal.ts";
import { mark, type SealedIndex } from "../seal/sealed-index.ts";
import type { Store } from "../store/store.ts";
import type { Findings, TamperVerdict } from "./findings.ts";
import type { Chain } from "./verify-chain.ts";

export type Span = { readonly since?: Date | undefined; readonly until?: Date | undefined };

export type Totals = {
  /** Objects that were listed, without `probe/`. */
  listed: number;
  records: number;
  runRecords: number;
  /** Logs whose metadata was asked for. */
  logs: number;
  /** Logs that were read from end to end. */
  logsRead: number;
  storedBytesRead: number;
  rawBytesRead: number;
  /** Sealed logs that a tombstone excuses and that are gone. */
  removed: number;
  /** Logs that have lost their metadata, as in a copied folder. */
  withoutMetadata: number;
};

export type Verification = {
  readonly store: Store;
  readonly chain: Chain;
  readonly index: SealedIndex;
  readonly findings: Findings;
  readonly totals: Totals;
  /** By key, the last that the chain says of it. */
  readonly damages: ReadonlyMap<string, Damage & { readonly sequence: number }>;
  /** Sequences of the seals whose entries are checked. */
  readonly spanned: ReadonlySet<number>;
  /** True for a log that is to be read from end to end. */
  readonly isDeep: () => boolean;
  /** Objects that no seal holds and that are older than this should be in one. */
  readonly sealedBefore: Date;
  /** What may be excused once all objects were seen: of a key whose damage a seal admits, and what went while this looked. */
  readonly deferred: { readonly verdict: TamperVerdict; readonly key: string; readonly detail: string }[];
  readonly signal?: AbortSignal | undefined;
};

/** A store that lost everything must not fill the memory; few logs are removed in the time of one verification. */
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

/** Tells that an object is tampered with, at once or, where something may excuse it, at the end. */
export function tamper(verification: Verification, verdict: TamperVerdict, key: string, detail: string): void {
  const { damages, findings, deferred, index } = verification;
  const row = index.find(key);
  if (row !== undefined && verdict === "invalid") index.set(row, mark.isBroken);
  const isExcusable = damages.has(key) || (verdict === "missing" && key.startsWith("logs/") && deferred.length < maxDeferred);
  if (isExcusable) deferred.push({ verdict, key, detail });
  else findings.tamper(verdict, key, detail);
}

/** True when the entry of this row is to be checked, which that of an object in no seal always is. */
export function isSpanned({ index, spanned }: Verification, row: number): boolean {
  const sequence = index.sealOf(row);
  return sequence === 0 || spanned.has(sequence);
}
