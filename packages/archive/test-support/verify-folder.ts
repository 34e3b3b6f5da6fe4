// A sealed archive in a folder, and what verifying it finds, told in short.

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

/** An archive in a folder, which goes with it. */
export async function openFolder(firstSealedAt?: Date): Promise<SealedStore & AsyncDisposable> {
  const folder = await mkdtemp(join(tmpdir(), "actions-archive-verify-"));
  const store = await openStore({ ARCHIVE_URL: pathToFileURL(folder) });
  const sealed = await openSealedStore(store, firstSealedAt);
  return { ...sealed, [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) };
}

/** Of a key's file. */
export const pathOf = ({ store }: SealedStore, key: string) => join(fileURLToPath(store.url), key);

/** As somebody who may write the folder, and not as the store. */
export async function overwrite(sealed: SealedStore, key: string, bytes: Buffer): Promise<void> {
  await chmod(pathOf(sealed, key), 0o644);
  await writeFile(pathOf(sealed, key), bytes);
}

/** Everything is read, unless told. */
export async function verify({ store }: SealedStore, options: Partial<VerifyOptions> = {}) {
  const result = await verifyArchive(store, {
    keys: [signer.publicKey],
    isDeep: () => true,
    sealIntervalSeconds: 3600,
    ...options,
  });
  return { ...result, ...tell(result) };
}

function tell({ findings }: VerifyResult) {
  const short = ({ verdict, key }: { verdict: string; key: string }) => `${verdict} ${key}`;
  return { tampering: findings.tampering.map(short), notices: findings.notices.map(short) };
}

export function tombstoneOf(sealed: SealedStore, key: string): Tombstone {
  const ids = { job_id: 10, repository_id: 1 };
  return { ...sealed.entryOf(key), ...ids, cause: "erase", reason: "a secret", decided_at: "2026-05-02T10:00:00.000Z" };
}

/** What a record of an archived log, which `addJob` made, says of it. */
export function archivedLogOf(record: Buffer) {
  return (JSON.parse(record.toString()) as { log: Extract<ReturnType<typeof recordOf>["log"], { state: "archived" }> }).log;
}
