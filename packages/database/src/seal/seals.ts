// The chain of seals in the database. A seal is prepared in one transaction, which stamps its content with its sequence; then it is put
// into the store; then it is published. At most one seal is between the first and the last step.

import { sql } from "kysely";

import { lock } from "../connection/locks.ts";
import { type Database, transact } from "../connection/open-database.ts";
import { maxListItems, selectSealContent, type SealContent } from "./seal-content.ts";

export type SealHead = {
  readonly sequence: number;
  readonly sha256: string;
  readonly sealed_at: Date;
  readonly due_key_id: string;
};

export type PreparedSeal = {
  readonly sequence: number;
  readonly sha256: string;
  readonly key_id: string;
  /** The canonical bytes of its payload. */
  readonly payload: Buffer;
};

/** The newest published seal. */
export async function findHead(db: Database): Promise<SealHead | undefined> {
  return db
    .selectFrom("archive.seals")
    .select(["sequence", "sha256", "sealed_at"])
    .select(sql<string>`coalesce(next_key_id, key_id)`.as("due_key_id"))
    .where("published_at", "is not", null)
    .orderBy("sequence", "desc")
    .limit(1)
    .executeTakeFirst();
}

export async function findPreparedSeal(db: Database): Promise<PreparedSeal | undefined> {
  const row = await db
    .selectFrom("archive.seals")
    .select(["sequence", "sha256", "key_id", "payload"])
    .where("published_at", "is", null)
    .executeTakeFirst();
  return row?.payload == null ? undefined : { ...row, payload: row.payload };
}

export type MadeSeal = Omit<PreparedSeal, "sequence"> & {
  readonly previous_sha256: string;
  /** Id of the announced key. */
  readonly next_key_id: string | null;
  /** Who announced that key, or corrected earlier seals; null in a seal that does neither. */
  readonly operator: { by: string; os_user: string; database_user: string; reason: string | null } | null;
};

export type SealRequest = {
  readonly maxSealEntries: number;
  /** Undefined: now, whether or not one is due. */
  readonly intervalSeconds?: number | undefined;
};

/**
 * Whether the next seal is due: it is requested now, one is prepared or there is none, the last is as old as the interval, or enough
 * waits to fill a seal.
 */
export async function isSealDue(db: Database, { maxSealEntries, intervalSeconds }: SealRequest): Promise<boolean> {
  if (intervalSeconds === undefined) return true;
  const { rows } = await sql<{ is_due: boolean }>`
    select
      exists (select from archive.seals where published_at is null)
      or not exists (
        select from archive.seals
        where published_at is not null and sealed_at > now() - make_interval(secs => ${intervalSeconds})
      )
      or exists (select from archive.objects where sealed_in is null offset ${maxSealEntries - 1})
      or exists (select from archive.attempts where sealed_in is null offset ${maxListItems - 1}) as is_due
  `.execute(db);
  return rows[0]?.is_due === true;
}

/**
 * Prepares the next seal, unless one is prepared already or none is due. It contains everything unsealed, whenever it was written; it
 * never selects by time.
 * @param make makes the seal's bytes, without side effects.
 * @returns the seal to put into the store next; undefined if none is due.
 */
export async function prepareSeal(
  db: Database,
  request: SealRequest,
  make: (content: SealContent, previous: SealHead | undefined) => MadeSeal,
): Promise<PreparedSeal | undefined> {
  return transact(db, async (trx) => {
    await lock(trx, "seals");
    const prepared = await findPreparedSeal(trx);
    if (prepared) return prepared;
    // Another loader may have sealed since the caller's check.
    if (!(await isSealDue(trx, request))) return undefined;
    const previous = await findHead(trx);
    const content = await selectSealContent(trx, (previous?.sequence ?? 0) + 1, request.maxSealEntries);
    const { sequence, sealed_at } = content;
    const { operator, ...seal } = make(content, previous);
    await trx
      .insertInto("archive.seals")
      .values({
        sequence,
        sealed_at,
        entries: content.entries.length,
        ...seal,
        ...operator,
      })
      .execute();
    return { sequence, ...seal };
  });
}

/** Marks the seal as published. Idempotent. */
export async function publishSeal(db: Database, { sequence, sha256 }: Pick<PreparedSeal, "sequence" | "sha256">): Promise<void> {
  await db
    .updateTable("archive.seals")
    .set({ payload: null, published_at: sql<Date>`now()` })
    .where("sequence", "=", sequence)
    .where("sha256", "=", sha256)
    .where("published_at", "is", null)
    .execute();
}

/** Published seals after `after`, in order. */
export async function listSealHashes(db: Database, after: number): Promise<{ sequence: number; sha256: string }[]> {
  return db
    .selectFrom("archive.seals")
    .select(["sequence", "sha256"])
    .where("published_at", "is not", null)
    .where("sequence", ">", after)
    .orderBy("sequence")
    .execute();
}
