// The store as a worker opens it: writable, known in what it enforces, and of this archive.

import { openStore, probeStore, type StoreSettings } from "./open-store.ts";
import { ensureArchiveIdentity, type ArchiveIdentity } from "./store/archive-identity.ts";
import type { Store } from "./store/store.ts";

export type OpenArchive = AsyncDisposable & {
  readonly store: Store;
  readonly identity: Pick<ArchiveIdentity, "archive_id" | "host">;
};

/**
 * Opens the store and finds out what it enforces; a new one gets its `archive.json`. Idempotent.
 * @throws ConfigError when it cannot be written, or belongs to another archive or host than `expected`.
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
