// The archive that this database belongs to.

import { ConfigError } from "@actions-archive/core/errors";

import type { Database } from "../connection/open-database.ts";

export type Identity = { readonly archive_id: string; readonly host: string };

export async function findIdentity(db: Database): Promise<Identity | undefined> {
  return db.selectFrom("archive.identity").select(["archive_id", "host"]).executeTakeFirst();
}

/**
 * Binds the database to an archive, once. Idempotent, and safe when several processes start at once.
 * @throws ConfigError if it already belongs to another archive or host.
 */
export async function claimIdentity(db: Database, identity: Identity): Promise<void> {
  await db
    .insertInto("archive.identity")
    .values(identity)
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  const actual = await findIdentity(db);
  if (actual?.archive_id === identity.archive_id && actual.host === identity.host) return;
  throw new ConfigError(
    `The database belongs to archive ${actual?.archive_id} of ${actual?.host}, the store at ARCHIVE_URL to archive ${identity.archive_id} of ${identity.host}. ` +
      `Point DATABASE_URL and ARCHIVE_URL (and GITHUB_API_URL) at one archive`,
  );
}
