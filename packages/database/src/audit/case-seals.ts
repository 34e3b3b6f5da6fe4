// Seals that an exported case needs: those with a tombstone, and those that lead from an earlier key to the current one.

import type { Database } from "../connection/open-database.ts";

/** The seal with the tombstone of the log `key`: null if it is not sealed yet, undefined if the log was not removed. */
export async function findTombstoneSeal(db: Database, key: string): Promise<number | null | undefined> {
  const row = await db
    .selectFrom("archive.tombstones")
    .leftJoin("archive.seals", (join) =>
      join.onRef("sequence", "=", "archive.tombstones.sealed_in").on("published_at", "is not", null),
    )
    .select("sequence")
    .where("object_key", "=", key)
    .executeTakeFirst();
  return row?.sequence;
}

/** Published seals from `first` on, in order, each with its signing key. */
export async function listSealKeys(db: Database, first: number): Promise<{ sequence: number; key_id: string }[]> {
  return db
    .selectFrom("archive.seals")
    .select(["sequence", "key_id"])
    .where("published_at", "is not", null)
    .where("sequence", ">=", first)
    .orderBy("sequence")
    .execute();
}
