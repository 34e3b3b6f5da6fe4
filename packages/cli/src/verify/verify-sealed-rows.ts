// Compares the database's rows of seals and sealed objects with the seals, and reads the seals' other content for later
// comparisons.

import type { Seal } from "@actions-archive/archive/seal/seal";
import { mark } from "@actions-archive/archive/seal/sealed-index";
import { readSealAgain, type VerifyResult } from "@actions-archive/archive/verify/verify-archive";
import type { ChainLink } from "@actions-archive/archive/verify/verify-chain";
import { sealKey } from "@actions-archive/core/object-key";
import { idsOfKey } from "@actions-archive/database/ledger/objects";
import { listObjectRows, listOtherVersions, listSealRows } from "@actions-archive/database/verify/compare-rows";
import { addSealedChanges } from "@actions-archive/database/verify/expected-ledger";

import { addName, type DatabaseCheck, rowName } from "./database-check.ts";

const pageLength = 10_000;

/** Removals of partitions by the owner, as recorded in the seals. */
export type SealedRemovals = { readonly horizon: Date | undefined; readonly jobs: number };

/** Fills the ledger's temporary tables from all seals. */
export async function verifySealedRows(check: Omit<DatabaseCheck, "removals">): Promise<SealedRemovals> {
  const unpublished = await verifySealRows(check);
  await verifyObjectRows(check, unpublished);
  const removals = new Map<string, number>();
  for (const link of check.result.chain.links) {
    check.signal?.throwIfAborted();
    const seal = await readSealAgain(check.store, link);
    await reportMissingRows(check, link, seal);
    await addSealedChanges(check.db, seal);
    for (const named of [...seal.ledger.windows, ...seal.ledger.attempts]) addName(check, named, seal.sealed_at);
    for (const { runs_before, jobs } of seal.removals ?? []) removals.set(runs_before, jobs);
  }
  const horizon = [...removals.keys()].toSorted((a, b) => Date.parse(a) - Date.parse(b)).at(-1);
  return {
    horizon: horizon === undefined ? undefined : new Date(horizon),
    jobs: [...removals.values()].reduce((sum, jobs) => sum + jobs, 0),
  };
}

/** @returns the newest seal when the store has it and the database has not recorded that yet */
async function verifySealRows({
  db,
  store,
  result: { chain, findings },
}: Omit<DatabaseCheck, "removals">): Promise<number | undefined> {
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
    // A seal made since the chain was verified is in the store by now.
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
    ["by", row.by, link.operator?.by ?? null],
    ["os_user", row.os_user, link.operator?.os_user ?? null],
    ["database_user", row.database_user, link.operator?.database_user ?? null],
    ["reason", row.reason, link.operator?.reason ?? null],
  ];
  return columns
    .filter(([, actual, expected]) => actual !== expected)
    .map(([name, actual, expected]) => `${name} is ${String(actual)}, and ${String(expected)} in the seal`)
    .join("; ");
}

async function verifyObjectRows(
  { db, result, signal }: Omit<DatabaseCheck, "removals">,
  unpublished: number | undefined,
): Promise<void> {
  for (let after = ""; ;) {
    signal?.throwIfAborted();
    const page = await listObjectRows(db, after, pageLength);
    for (const row of page) verifyObjectRow(result, row, unpublished);
    const last = page.at(-1);
    if (!last || page.length < pageLength) break;
    after = last.object_key;
  }
}

type ObjectRow = Awaited<ReturnType<typeof listObjectRows>>[number];

function verifyObjectRow({ chain, index, findings }: VerifyResult, object: ObjectRow, unpublished: number | undefined): void {
  const { object_key: key, size_bytes, sha256, sequence, ...ids } = object;
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
  // When a key is in two seals, the database keeps the first.
  const isFirst = index.has(row, mark.isSealedAgain) && sequence !== null && sequence < sealedIn;
  const isSealed = sequence === sealedIn || isFirst || (sequence === null && sealedIn === unpublished);
  const ofKey = idsOfKey(key);
  if (ids.repository_id !== ofKey.repository_id || ids.run_id !== ofKey.run_id || ids.job_id !== ofKey.job_id)
    return findings.tamper(
      "invalid",
      rowName("objects", key),
      `says that it is of ${JSON.stringify(ids)}, and its key says ${JSON.stringify(ofKey)}`,
    );
  if (isSame && isSealed) return;
  const said = `says ${size_bytes} bytes of ${sha256} in seal ${sequence ?? "none"}`;
  const sealed = `seal ${sealedIn} says ${index.sizeOf(row)} of ${index.sha256Of(row)}`;
  findings.tamper("invalid", rowName("objects", key), `${said}; ${sealed}`);
}

async function reportMissingRows(
  { db, result: { index, findings } }: Omit<DatabaseCheck, "removals">,
  link: ChainLink,
  { entries }: Seal,
): Promise<void> {
  const known: Seal["entries"] = [];
  for (const entry of entries) {
    const row = index.find(entry.key);
    if (row === undefined || index.sealOf(row) !== link.sequence) continue;
    if (index.has(row, mark.hasRow)) known.push(entry);
    else findings.tamper("missing", rowName("objects", entry.key), `seal ${link.sequence} holds it`);
  }
  for (const { object_key, version_id, sealed_version_id } of await listOtherVersions(db, link.sequence, known))
    findings.tamper(
      "invalid",
      rowName("objects", object_key),
      `version_id is ${String(version_id)}, and ${String(sealed_version_id)} by seal ${link.sequence}`,
    );
}
