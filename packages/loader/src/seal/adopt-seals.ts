// Compares the head of the database with the store's, at the start and when a seal is refused. A database that was restored from an old
// backup adopts the newer seals of the store.

import type { KeyObject } from "node:crypto";

import type { Correction, Seal } from "@actions-archive/archive/seal/seal";
import { parseSeal, type VerifiedSeal, verifySeal } from "@actions-archive/archive/seal/seal-envelope";
import { keyIdOf } from "@actions-archive/archive/seal/seal-key";
import { readDocument } from "@actions-archive/archive/store/read-document";
import type { Store } from "@actions-archive/archive/store/store";
import { PermanentError } from "@actions-archive/core/errors";
import type { Logger } from "@actions-archive/core/logger";
import { sealKey, tryParseKey } from "@actions-archive/core/object-key";
import type { Database } from "@actions-archive/database/connection/open-database";
import { adoptSeal } from "@actions-archive/database/seal/adopt-seal";
import { findHead, type SealHead } from "@actions-archive/database/seal/seals";

export type SealedArchive = {
  readonly db: Database;
  readonly store: Store;
  readonly archiveId: string;
  readonly host: string;
  /** Verifies the newest seal of the store. If undefined, the chain is followed by its hashes, and its end is not verified. */
  readonly publicKey: KeyObject | undefined;
  readonly log: Logger;
  /** If true, a signed chain with a seal of another host that no later seal corrects is adopted with a warning. */
  readonly mayNameOtherHost?: boolean;
};

/**
 * Adopts every seal of the store that the database lacks. The newest must be signed by `publicKey`, if given; each earlier one must
 * have the hash in its successor, down to the head of the database. Idempotent, and safe when several processes do it at once.
 * @param onAdopted called after each adopted seal, oldest first.
 * @returns the number of adopted seals.
 * @throws PermanentError `store/corrupt` if the store's chain is not the database's, or its end is missing.
 */
export async function adoptSeals(
  archive: SealedArchive,
  onAdopted: (seal: Seal) => Promise<void> | void = () => {},
): Promise<number> {
  const { db, store } = archive;
  const head = await findHead(db);
  const newest = await findNewest(store);
  if (newest <= (head?.sequence ?? 0)) {
    await checkEnd(archive, head);
    return 0;
  }
  const chain = await followBack(archive, { newest, head });
  for (const [index, sha256] of chain.entries()) {
    const sequence = (head?.sequence ?? 0) + index + 1;
    const { seal } = await readSeal(store, sequence, (bytes, name) => parseSeal(bytes, name), sha256);
    const isTrusted = archive.publicKey !== undefined;
    await adoptSeal(db, { ...seal, sha256, next_key_id: seal.next_key?.key_id ?? null, isTrusted });
    await onAdopted(seal);
  }
  return chain.length;
}

async function findNewest(store: Store): Promise<number> {
  let newest = 0;
  for await (const { key } of store.list("seals/")) {
    const parsed = tryParseKey(key);
    if (parsed?.kind === "seal") newest = Math.max(newest, parsed.sequence);
  }
  return newest;
}

// A database that was rebuilt without a key may have adopted an untrusted chain.
async function checkEnd({ store, publicKey }: SealedArchive, head: SealHead | undefined): Promise<void> {
  if (head === undefined) return;
  const parse = (bytes: Buffer, name: string) => {
    const isOurs = publicKey !== undefined && parseSeal(bytes, name).seal.key_id === keyIdOf(publicKey);
    return isOurs ? verifySeal(bytes, publicKey, name) : parseSeal(bytes, name);
  };
  await readSeal(store, head.sequence, parse, head.sha256);
}

/** @returns the hashes of the payloads of the seals after `head`, oldest first. */
async function followBack(
  { store, archiveId, host, publicKey, log, mayNameOtherHost = false }: SealedArchive,
  { newest, head }: { readonly newest: number; readonly head: SealHead | undefined },
): Promise<string[]> {
  const hashes: string[] = [];
  const first = (head?.sequence ?? 0) + 1;
  let expected: string | undefined;
  const admitted = new Map<number, Correction>();
  for (let sequence = newest; sequence >= first; sequence -= 1) {
    const isNewest = expected === undefined && publicKey !== undefined;
    const read = isNewest ? (bytes: Buffer, name: string) => verifyNewest(bytes, publicKey, name) : parseSeal;
    const { seal, sha256 } = await readSeal(store, sequence, read, expected);
    const { host: wrong, sha256: wrongSha256 } = admitted.get(sequence) ?? {};
    const isAdmitted = seal.host === wrong && sha256 === wrongSha256;
    const isHost = seal.host === host || isAdmitted || mayNameOtherHost;
    if (seal.sequence !== sequence || seal.archive_id !== archiveId || !isHost)
      throw changed(store, sequence, `says that it is seal ${seal.sequence} of archive ${seal.archive_id} of ${seal.host}`);
    if (seal.host !== host && !isAdmitted)
      log.warn({ sequence, sealHost: seal.host, host, cure: "actions-archive seal --correct-host" }, "seal names another host");
    for (const correction of seal.corrections ?? [])
      if (correction.correct_host === host) admitted.set(correction.sequence, correction);
    hashes.unshift(sha256);
    expected = seal.previous_sha256;
  }
  if (head !== undefined && expected !== head.sha256)
    throw changed(store, first, `does not follow seal ${head.sequence} of the database`);
  return hashes;
}

function verifyNewest(bytes: Buffer, publicKey: KeyObject, name: string): VerifiedSeal {
  const { seal } = parseSeal(bytes, name);
  if (seal.key_id === keyIdOf(publicKey)) return verifySeal(bytes, publicKey, name);
  throw new PermanentError(
    "store/corrupt",
    `The seal ${name} is signed by key ${seal.key_id}, and SEAL_KEY holds ${keyIdOf(publicKey)}: start once with the key that signed it, or find out who wrote it.`,
  );
}

async function readSeal(
  store: Store,
  sequence: number,
  parse: (bytes: Buffer, name: string) => VerifiedSeal,
  sha256?: string,
): Promise<VerifiedSeal> {
  const key = sealKey(sequence);
  const sealed = await readDocument(store, key, (bytes) => {
    const read = parse(bytes, `${key} in ${store.url}`);
    if (sha256 !== undefined && read.sha256 !== sha256)
      throw changed(store, sequence, "does not have the hash in the next seal or the database");
    return read;
  });
  if (sealed !== undefined) return sealed;
  throw new PermanentError(
    "store/corrupt",
    `The seal ${key} is missing from ${store.url}. Restore it from a copy, and run verify.`,
  );
}

function changed(store: Store, sequence: number, what: string): PermanentError {
  return new PermanentError(
    "store/corrupt",
    `The seal ${sealKey(sequence)} in ${store.url} ${what}: it was changed, or is not of this archive. Keep it, and run verify.`,
  );
}
