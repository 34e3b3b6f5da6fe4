// Which seals an exported case needs: those that carry a tombstone, and those that lead from an earlier key to the one at hand.

import type { Database } from "../connection/open-database.ts";

/** The seal that carries the tombstone of the log `key`: null while it waits for one, undefined when the log was not removed. */
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

/** The seals from `first` on that are known to be in the store, in their order, each with the key that it is signed with. */
export async function listSealKeys(db: Database, first: number): Promise<{ sequence: number; key_id: string }[]> {
  return db
    .selectFrom("archive.seals")
    .select(["sequence", "key_id"])
    .where("published_at", "is not", null)
    .where("sequence", ">=", first)
    .orderBy("sequence")
    .execute();
}
