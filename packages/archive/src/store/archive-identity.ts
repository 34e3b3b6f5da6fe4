// archive.json at the root of the store names the archive and its GitHub host. It prevents two archives from sharing a bucket,
// and a database from using the bucket of another archive.

import { createHash, randomUUID } from "node:crypto";

import { ConfigError, PermanentError } from "@actions-archive/core/errors";
import { archiveIdentityKey } from "@actions-archive/core/object-key";
import { z } from "zod";

import { canonicalBytes } from "./canonical-bytes.ts";
import { readDocument } from "./read-document.ts";
import { isCorrupt, type Store } from "./store.ts";

export const ArchiveIdentity = z.object({
  archive_id: z.uuid(),
  host: z.string().min(1),
  created_at: z.iso.datetime(),
  version: z.literal(1).describe("version of the layout of keys and objects"),
});
export type ArchiveIdentity = z.output<typeof ArchiveIdentity>;

/**
 * Reads the archive's identity, or creates it in a new store. `archiveId` is the id in the database, if it has one.
 * Two processes that start at once get the same identity. Idempotent.
 * @throws ConfigError when the store belongs to another host or archive, or is new although the database is not.
 */
export async function ensureArchiveIdentity(
  store: Store,
  expected: { host: string; archiveId?: string | undefined },
): Promise<ArchiveIdentity> {
  const { host, archiveId } = expected;
  const found = (await findArchiveIdentity(store)) ?? (await createIdentity(store, host, archiveId));
  if (found.host !== host) {
    throw new ConfigError(
      `${store.url} archives ${found.host}, and GITHUB_API_URL leads to ${host}. One archive holds one host: set ARCHIVE_URL to another prefix for ${host}, or GITHUB_API_URL (or GITHUB_HOST) to ${found.host}.`,
    );
  }
  if (archiveId !== undefined && found.archive_id !== archiveId) {
    throw new ConfigError(
      `${store.url} is archive ${found.archive_id}, and the database belongs to archive ${archiveId}. Set ARCHIVE_URL and DATABASE_URL to the same archive, or start with an empty database and rebuild it.`,
    );
  }
  return found;
}

async function createIdentity(store: Store, host: string, archiveId: string | undefined): Promise<ArchiveIdentity> {
  if (archiveId !== undefined) {
    throw new ConfigError(
      `${store.url} holds no ${archiveIdentityKey}, and the database belongs to archive ${archiveId}, whose objects must be somewhere else. Set ARCHIVE_URL to where they are, or start with an empty database.`,
    );
  }
  const identity: ArchiveIdentity = { archive_id: randomUUID(), host, created_at: new Date().toISOString(), version: 1 };
  const body = canonicalBytes(identity);
  const sha256 = createHash("sha256").update(body).digest("hex");
  const outcome = await store.put(archiveIdentityKey, body, { sha256, contentType: "application/json" });
  if (outcome.kind === "created") return identity;
  return (await findArchiveIdentity(store)) ?? identity;
}

/** The archive's identity; undefined in a store that has none. @throws ConfigError when this version cannot parse it. */
export async function findArchiveIdentity(store: Store): Promise<ArchiveIdentity | undefined> {
  try {
    return await readDocument(store, archiveIdentityKey, parseIdentity);
  } catch (error) {
    if (!isCorrupt(error)) throw error;
    throw new ConfigError(
      `${archiveIdentityKey} in ${store.url} is not in the format of this version: use a newer version, or restore the object.`,
      { cause: error },
    );
  }
}

function parseIdentity(bytes: Buffer): ArchiveIdentity {
  try {
    return ArchiveIdentity.parse(JSON.parse(bytes.toString("utf8")));
  } catch (error) {
    throw new PermanentError("store/corrupt", `${archiveIdentityKey} is not the identity of an archive`, { cause: error });
  }
}
