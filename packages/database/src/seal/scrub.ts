// State of the scrub: its position, and the damage that it found.

import { sql } from "kysely";

import { type Database, transact } from "../connection/open-database.ts";
import { idsOfKey, type StoredObject } from "../ledger/objects.ts";

export type ScrubBatch = {
  /** Position of the round when the batch was selected. */
  readonly position: string;
  readonly objects: readonly StoredObject[];
};

const notRemoved = sql`not exists (select from archive.tombstones where tombstones.object_key = objects.object_key)`;
const allObjects = sql<number>`(select count(*) from archive.objects where ${notRemoved})`;

/**
 * Selects the next objects so that every object is read once in `days`; none while the round is ahead of schedule, or over. Removed
 * objects, and those about to be, are skipped.
 */
export async function chooseScrubBatch(
  db: Database,
  { days, most }: { readonly days: number; readonly most: number },
): Promise<ScrubBatch> {
  const { position, due } = (await findRound(db, days)) ?? (await beginFirstRound(db, days));
  if (due <= 0) return { position, objects: [] };
  const { rows } = await sql<StoredObject>`
    select object_key as key, version_id, size_bytes as size, sha256
    from archive.objects
    where object_key > ${position} and ${notRemoved}
    order by object_key
    limit ${Math.min(due, most)}
  `.execute(db);
  return { position, objects: rows };
}

function findRound(db: Database, days: number): Promise<{ position: string; due: number } | undefined> {
  const elapsed = sql`extract(epoch from now() - round_began_at) / (${days}::float8 * 86400)`;
  // Objects recorded after the round began are read at its end.
  const due = sql<number>`case when ${elapsed} < 1 then ceil(objects * ${elapsed})::bigint - objects_read else 1000000000 end`;
  return db.selectFrom("archive.scrub").select("position").select(due.as("due")).executeTakeFirst();
}

async function beginFirstRound(db: Database, days: number): Promise<{ position: string; due: number }> {
  await db
    .insertInto("archive.scrub")
    .values({ objects: allObjects })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  return (await findRound(db, days)) ?? { position: "", due: 0 };
}

/** Moves the round from `batch.position` to the batch's last key; an empty batch ends it. Idempotent. */
export async function recordScrubbed(db: Database, { position, objects }: ScrubBatch): Promise<void> {
  const last = objects.at(-1);
  if (last === undefined) {
    await sql`
      update archive.scrub set
        position = '', round_began_at = now(), objects = ${allObjects}, objects_read = 0, bytes_read = 0,
        last_round_ended_at = now()
      where position = ${position}
    `.execute(db);
    return;
  }
  const bytes = objects.reduce((sum, { size }) => sum + size, 0);
  await sql`
    update archive.scrub set
      position = ${last.key}, objects_read = objects_read + ${objects.length}, bytes_read = bytes_read + ${bytes}
    where position = ${position}
  `.execute(db);
}

/** Whether the round is still at `position` and no object follows. */
export async function isRoundOver(db: Database, position: string): Promise<boolean> {
  const { rows } = await sql<{ is_over: boolean }>`
    select
      exists (select from archive.scrub where position = ${position} and objects_read > 0)
      and not exists (
        select from archive.objects
        where object_key > ${position} and ${notRemoved}
      ) as is_over
  `.execute(db);
  return rows[0]?.is_over === true;
}

export type Damage = { readonly key: string; readonly finding: "missing" | "damaged" };

/**
 * Records damage for the next seal; known damage is unchanged. A damaged log in force is requested again, and then stored under an
 * extra key. An object with a tombstone is not damage. Idempotent.
 * @returns the keys of new damage.
 */
export async function recordDamages(db: Database, damages: readonly Damage[]): Promise<string[]> {
  return transact(db, async (trx) => {
    const fresh: string[] = [];
    const removed = await listRemovedKeys(
      trx,
      damages.map(({ key }) => key),
    );
    for (const { key, finding } of damages) {
      if (removed.has(key)) continue;
      const { repository_id, job_id } = idsOfKey(key);
      const inserted = await trx
        .insertInto("archive.damages")
        .values({ object_key: key, finding, repository_id, job_id })
        .onConflict((conflict) => conflict.doNothing())
        .returning("object_key")
        .execute();
      if (inserted.length > 0) fresh.push(key);
    }
    await sql`
      update archive.log_jobs set recheck_at = now()
      from archive.logs
      where logs.log_key = any(${sql.val(fresh)}::text[]) and log_jobs.job_id = logs.job_id and log_jobs.log_state = 'archived'
    `.execute(trx);
    return fresh;
  });
}

// An object removed between its selection and its reading is not missing.
async function listRemovedKeys(trx: Database, keys: readonly string[]): Promise<Set<string>> {
  const rows = await trx
    .selectFrom("archive.tombstones")
    .select("object_key")
    .where(sql<boolean>`object_key = any(${sql.val(keys)}::text[])`)
    .execute();
  return new Set(rows.map(({ object_key }) => object_key));
}

/** Key of an unrepaired damaged log of this job. */
export async function findDamagedLog(db: Database, jobId: number): Promise<string | undefined> {
  const row = await db
    .selectFrom("archive.damages")
    .select("object_key")
    .where("job_id", "=", jobId)
    .where("object_key", "like", "logs/%")
    .where("repaired_at", "is", null)
    .orderBy("object_key")
    .limit(1)
    .executeTakeFirst();
  return row?.object_key;
}

/** Records that `repairedBy` holds the raw bytes of the damaged log, for the next seal. Idempotent. */
export async function recordRepair(db: Database, objectKey: string, repairedBy: string): Promise<void> {
  await db
    .updateTable("archive.damages")
    .set({ repaired_by: repairedBy, repaired_at: sql<Date>`now()`, sealed_in: null })
    .where("object_key", "=", objectKey)
    .where("repaired_at", "is", null)
    .execute();
}

export type Scrub = {
  readonly objects: number;
  readonly objects_read: number;
  readonly round_began_at: Date;
  readonly last_round_ended_at: Date | null;
};

/** State of the scrub; undefined before it began. */
export async function findScrub(db: Database): Promise<Scrub | undefined> {
  return db
    .selectFrom("archive.scrub")
    .select(["objects", "objects_read", "round_began_at", "last_round_ended_at"])
    .executeTakeFirst();
}

export async function countDamages(db: Database): Promise<{ damaged: number; repaired: number }> {
  const { rows } = await sql<{ damaged: number; repaired: number }>`
    select count(*)::integer as damaged, count(repaired_at)::integer as repaired from archive.damages`.execute(db);
  return rows[0] ?? { damaged: 0, repaired: 0 };
}
