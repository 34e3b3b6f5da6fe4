// Holds what the database says of seals and sealed objects against the seals.

import { mark } from "@actions-archive/archive/sealed-index";
import type { Store } from "@actions-archive/archive/store";
import { readSealAgain, type VerifyResult } from "@actions-archive/archive/verify-archive";
import type { ChainLink } from "@actions-archive/archive/verify-chain";
import { sealKey } from "@actions-archive/core/object-key";
import { listObjectRows, listSealRows } from "@actions-archive/database/compare-rows";
import type { Database } from "@actions-archive/database/open-database";

import { rowName } from "./verify-rows.ts";

export type SealedRowsRequest = {
  readonly db: Database;
  readonly store: Store;
  readonly result: VerifyResult;
  readonly signal?: AbortSignal | undefined;
};

const pageLength = 10_000;

export async function verifySealedRows(request: SealedRowsRequest): Promise<void> {
  await verifyObjectRows(request, await verifySealRows(request));
}

/** @returns the seal that is in the store, and of which the database does not know that yet */
async function verifySealRows({ db, store, result: { chain, findings } }: SealedRowsRequest): Promise<number | undefined> {
  const rows = new Map((await listSealRows(db)).map((row) => [row.sequence, row]));
  let unpublished: number | undefined;
  for (const link of chain.links) {
    const row = rows.get(link.sequence);
    const name = rowName("seals", link.sequence);
    rows.delete(link.sequence);
    if (row?.is_published === false && link === chain.head) {
      unpublished = link.sequence;
      findings.notice("not compared", name, "the newest seal is in the store, and the database will know at the next one");
    }
    const wrong = row && wrongColumns(row, link);
    if (!row) findings.tamper("missing", name, `${link.key} is in the store`);
    else if (wrong !== "") findings.tamper("invalid", name, wrong ?? "");
  }
  for (const { sequence, is_published } of rows.values()) {
    // One that was made since the chain was walked is in the store by now.
    if (!is_published || chain.seen.has(sequence) || (await store.head(sealKey(sequence)))) continue;
    findings.tamper("unexpected", rowName("seals", sequence), "no such seal is in the store");
  }
  return unpublished;
}

type SealRow = Awaited<ReturnType<typeof listSealRows>>[number];

function wrongColumns(row: SealRow, link: ChainLink): string {
  const columns: [string, unknown, unknown][] = [
    ["sealed_at", row.sealed_at.getTime(), Date.parse(link.sealed_at)],
    ["entries", row.entries, link.entries],
    ["previous_sha256", row.previous_sha256, link.previous_sha256],
    ["sha256", row.sha256, link.sha256],
    ["key_id", row.key_id, link.key_id],
    ["next_key_id", row.next_key_id, link.nextKeyId],
  ];
  return columns
    .filter(([, actual, expected]) => actual !== expected)
    .map(([name, actual, expected]) => `${name} is ${String(actual)}, and ${String(expected)} in the seal`)
    .join("; ");
}

async function verifyObjectRows(request: SealedRowsRequest, unpublished: number | undefined): Promise<void> {
  const { db, store, result, signal } = request;
  for (let after = ""; ;) {
    signal?.throwIfAborted();
    const page = await listObjectRows(db, after, pageLength);
    for (const row of page) verifyObjectRow(result, row, unpublished);
    const last = page.at(-1);
    if (!last || page.length < pageLength) break;
    after = last.object_key;
  }
  for (const link of result.chain.links) await tellWithoutRow(store, result, link);
}

type ObjectRow = Awaited<ReturnType<typeof listObjectRows>>[number];

function verifyObjectRow({ chain, index, findings }: VerifyResult, object: ObjectRow, unpublished: number | undefined): void {
  const { object_key: key, size_bytes, sha256, sequence } = object;
  const row = index.find(key);
  const sealedIn = row === undefined ? 0 : index.sealOf(row);
  if (row === undefined || sealedIn === 0) {
    const isLater = sequence !== null && sequence > (chain.head?.sequence ?? 0);
    if (sequence !== null && !isLater && !chain.isDamaged)
      findings.tamper("unexpected", rowName("objects", key), `is said to be in seal ${sequence}, which does not hold it`);
    return;
  }
  index.set(row, mark.hasRow);
  const isSame = size_bytes === index.sizeOf(row) && sha256 === index.sha256Of(row);
  // Of a key in two seals the database keeps the first.
  const isFirst = index.has(row, mark.isSealedAgain) && sequence !== null && sequence < sealedIn;
  const isSealed = sequence === sealedIn || isFirst || (sequence === null && sealedIn === unpublished);
  if (isSame && isSealed) return;
  const said = `says ${size_bytes} bytes of ${sha256} in seal ${sequence ?? "none"}`;
  const sealed = `seal ${sealedIn} says ${index.sizeOf(row)} of ${index.sha256Of(row)}`;
  findings.tamper("invalid", rowName("objects", key), `${said}; ${sealed}`);
}

async function tellWithoutRow(store: Store, { index, findings }: VerifyResult, link: ChainLink): Promise<void> {
  for (const { key } of (await readSealAgain(store, link)).entries) {
    const row = index.find(key);
    if (row === undefined || index.sealOf(row) !== link.sequence || index.has(row, mark.hasRow)) continue;
    findings.tamper("missing", rowName("objects", key), `seal ${link.sequence} holds it`);
  }
}
