// Opens the store for a worker: probes what it enforces and checks that it belongs to this archive.

import { openStore, probeStore, type StoreSettings } from "./open-store.ts";
import { ensureArchiveIdentity, type ArchiveIdentity } from "./store/archive-identity.ts";
import type { Store } from "./store/store.ts";

export type OpenArchive = AsyncDisposable & {
  readonly store: Store;
  readonly identity: Pick<ArchiveIdentity, "archive_id" | "host">;
};

/**
 * Opens the store, probes what it enforces, and writes `archive.json` to a new store. Idempotent.
 * @throws ConfigError when the store cannot be written, or belongs to another archive or host than `expected`.
 */
export async function openArchive(
  settings: StoreSettings,
  expected: { host: string; archiveId: string | undefined },
): Promise<OpenArchive> {
  const store = await openStore(settings);
  try {
    await probeStore(store);
    const { archive_id, host } = await ensureArchiveIdentity(store, expected);
    return { store, identity: { archive_id, host }, [Symbol.asyncDispose]: () => store[Symbol.asyncDispose]() };
  } catch (error) {
    await store[Symbol.asyncDispose]();
    throw error;
  }
}
