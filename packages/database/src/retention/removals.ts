// Last step of a removal: deletes an object whose tombstone is in a published seal, unless its job is held.

import { sql } from "kysely";

import { type Database, transact } from "../connection/open-database.ts";
import { heldJobs } from "./holds.ts";

export type DueRemoval = {
  object_key: string;
  version_id: string | null;
  job_id: number;
  repository_id: number;
  cause: string;
};

export type RemovalOutcome =
  /** Removed now, or already missing. */
  | { readonly kind: "removed" | "absent" }
  /** `until` if the store reports it. */
  | { readonly kind: "retained"; readonly until?: Date | undefined };

const mayGo = sql<boolean>`
  due_at <= now()
  and is_trusted
  and exists (
    select from archive.seals where seals.sequence = tombstones.sealed_in and published_at is not null
  )
  and exists (
    select from archive.objects
    join archive.seals on seals.sequence = objects.sealed_in and published_at is not null
    where objects.object_key = tombstones.object_key
  )
  and job_id not in ${heldJobs}`;

/** Keys whose objects may be removed now, longest due first. */
export async function listDueRemovals(db: Database, limit: number): Promise<string[]> {
  const rows = await db
    .selectFrom("archive.tombstones")
    .select("object_key")
    .where(mayGo)
    .orderBy("due_at")
    .limit(limit)
    .execute();
  return rows.map(({ object_key }) => object_key);
}

/**
 * Calls `remove` for the object under `key` while its tombstone is locked, so that a hold either waits for the end or is seen before
 * it, and records the result. After a crash it is due again, so `remove` must be idempotent. A lock without a known end is checked
 * again in a day.
 * @returns undefined, without calling `remove`, if the object may not be removed (any more) or another process removes it.
 */
export async function removeOnce(
  db: Database,
  key: string,
  remove: (removal: DueRemoval) => Promise<RemovalOutcome>,
): Promise<(DueRemoval & { readonly outcome: RemovalOutcome }) | undefined> {
  return transact(db, async (trx) => {
    const locked = await trx
      .selectFrom("archive.tombstones")
      .select("object_key")
      .where("object_key", "=", key)
      .forNoKeyUpdate()
      .skipLocked()
      .executeTakeFirst();
    if (locked === undefined) return undefined;
    // A separate statement after the lock, so that it sees a hold that was set while this one waited.
    const removal = await trx
      .selectFrom("archive.tombstones")
      .select(["object_key", "version_id", "job_id", "repository_id", "cause"])
      .where("object_key", "=", key)
      .where(mayGo)
      .executeTakeFirst();
    if (removal === undefined) return undefined;
    const outcome = await remove(removal);
    await trx.updateTable("archive.tombstones").set(columnsOf(outcome)).where("object_key", "=", key).execute();
    return { ...removal, outcome };
  });
}

function columnsOf(outcome: RemovalOutcome) {
  if (outcome.kind === "retained") {
    if (outcome.until !== undefined) {
      // Not at once, in case the store's clock differs.
      const dueAt = sql<Date>`greatest(${outcome.until}::timestamptz, now() + interval '10 minutes')`;
      return { due_at: dueAt, retained_until: outcome.until, problem: null };
    }
    const problem =
      "The store has locked this version without a known end: it has a legal hold, or s3:GetObjectRetention is not granted.";
    return { due_at: sql<Date>`now() + interval '1 day'`, retained_until: null, problem };
  }
  const removedAt = outcome.kind === "removed" ? sql<Date>`now()` : sql<Date>`coalesce(removed_at, now())`;
  return { due_at: null, removed_at: removedAt, retained_until: null, problem: null };
}

/** The removal failed: it is retried in `minutes`, after those that were due meanwhile. */
export async function recordFailedRemoval(
  db: Database,
  key: string,
  failure: { problem: string; minutes: number },
): Promise<void> {
  await db
    .updateTable("archive.tombstones")
    .set({ problem: failure.problem, due_at: sql<Date>`now() + make_interval(mins => ${failure.minutes})` })
    .where("object_key", "=", key)
    .where("due_at", "is not", null)
    .execute();
}

export type RemovalCounts = {
  waiting_for_seal: number;
  /** Sealed and not tried yet, or prevented by a hold. */
  waiting_for_removal: number;
  /** Locked by the store until a known time. */
  retained: number;
  /** Refused by the store: `problem` of the tombstone has the reason. */
  refused: number;
  removed: number;
};

/** Progress of the removals. */
export async function countRemovals(db: Database): Promise<RemovalCounts> {
  const isDue = sql`due_at is not null`;
  const isRetained = sql`retained_until > now()`;
  const { rows } = await sql<RemovalCounts>`
    select
      count(*) filter (where ${isDue} and seals.sequence is null) as waiting_for_seal,
      count(*) filter (where ${isDue} and seals.sequence is not null and (${isRetained}) is not true and problem is null) as waiting_for_removal,
      count(*) filter (where ${isDue} and ${isRetained}) as retained,
      count(*) filter (where ${isDue} and problem is not null) as refused,
      count(*) filter (where not ${isDue}) as removed
    from archive.tombstones
    left join archive.seals on seals.sequence = tombstones.sealed_in and published_at is not null
  `.execute(db);
  return rows[0] ?? { waiting_for_seal: 0, waiting_for_removal: 0, retained: 0, refused: 0, removed: 0 };
}
