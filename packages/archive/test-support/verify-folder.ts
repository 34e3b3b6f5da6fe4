// A sealed archive in a folder, and a summary of its verification.

import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

import { openStore } from "../src/open-store.ts";
import type { Tombstone } from "../src/seal/seal.ts";
import { verifyArchive, type VerifyOptions, type VerifyResult } from "../src/verify/verify-archive.ts";
import { newSigner } from "./seal-samples.ts";
import { openSealedStore, type recordOf, type SealedStore } from "./sealed-store.ts";

export const [signer, next, stranger] = [newSigner(), newSigner(), newSigner()];

/** Opens an archive in a temporary folder, which is removed when it is disposed. */
export async function openFolder(firstSealedAt?: Date): Promise<SealedStore & AsyncDisposable> {
  const folder = await mkdtemp(join(tmpdir(), "actions-archive-verify-"));
  const store = await openStore({ ARCHIVE_URL: pathToFileURL(folder) });
  const sealed = await openSealedStore(store, firstSealedAt);
  return { ...sealed, [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) };
}

/** The path of a key's file. */
export const pathOf = ({ store }: SealedStore, key: string) => join(fileURLToPath(store.url), key);

/** Overwrites an object's file directly, as an attacker with write access would. */
export async function overwrite(sealed: SealedStore, key: string, bytes: Buffer): Promise<void> {
  await chmod(pathOf(sealed, key), 0o644);
  await writeFile(pathOf(sealed, key), bytes);
}

/** Verifies the archive and reads all logs, unless `options` says otherwise. */
export async function verify({ store }: SealedStore, options: Partial<VerifyOptions> = {}) {
  const result = await verifyArchive(store, {
    keys: [signer.publicKey],
    isDeep: () => true,
    sealIntervalSeconds: 3600,
    ...options,
  });
  return { ...result, ...summarise(result) };
}

function summarise({ findings }: VerifyResult) {
  const short = ({ verdict, key }: { verdict: string; key: string }) => `${verdict} ${key}`;
  return { tampering: findings.tampering.map(short), notices: findings.notices.map(short) };
}

export function tombstoneOf(sealed: SealedStore, key: string): Tombstone {
  const ids = { job_id: 10, repository_id: 1 };
  return { ...sealed.entryOf(key), ...ids, cause: "erase", reason: "a secret", decided_at: "2026-05-02T10:00:00.000Z" };
}

/** The archived log in a record from `addJob`. */
export function archivedLogOf(record: Buffer) {
  return (JSON.parse(record.toString()) as { log: Extract<ReturnType<typeof recordOf>["log"], { state: "archived" }> }).log;
}
