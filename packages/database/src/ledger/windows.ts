// Spans of created_at that were listed completely: disjoint and half-open. Adjacent ones are merged, so that a poll every minute does
// not add a row every minute.

import { sql } from "kysely";

import { type Database, transact } from "../connection/open-database.ts";

export type Window = { readonly start: Date; readonly end: Date };

/**
 * Adds a listed window, merged with every window that it overlaps or touches. It excludes full seconds. Checks of spans that were
 * incomplete, or held an unusable run, and that are covered now, are removed. Idempotent.
 */
export async function addWindow(db: Database, repositoryId: number, window: Window): Promise<void> {
  if (window.start >= window.end) return;
  await transact(db, async (trx) => {
    await sql`select from archive.repositories where repository_id = ${repositoryId} for no key update`.execute(trx);
    const { rows } = await sql<{ window_start: Date; window_end: Date }>`
      delete from archive.windows
      where repository_id = ${repositoryId} and window_start <= ${window.end} and window_end >= ${window.start}
      returning window_start, window_end`.execute(trx);
    const start = new Date(Math.min(window.start.getTime(), ...rows.map((row) => row.window_start.getTime())));
    const end = new Date(Math.max(window.end.getTime(), ...rows.map((row) => row.window_end.getTime())));
    await trx
      .insertInto("archive.windows")
      .values({ repository_id: repositoryId, window_start: start, window_end: end, scanned_at: sql<Date>`now()` })
      .execute();
    await trx
      .deleteFrom("archive.full_seconds")
      .where("repository_id", "=", repositoryId)
      .where("second_start", ">=", window.start)
      .where("second_start", "<", window.end)
      .execute();
    await trx
      .deleteFrom("archive.window_checks")
      .where("repository_id", "=", repositoryId)
      .where("window_start", ">=", start)
      .where("window_end", "<=", end)
      .where((eb) =>
        eb.or([
          eb("reason", "=", "incomplete"),
          eb.and([eb("reason", "=", "unusable"), eb("window_start", ">=", window.start), eb("window_end", "<=", window.end)]),
        ]),
      )
      .execute();
  });
}

export async function listWindows(db: Database, repositoryId: number): Promise<Window[]> {
  const rows = await db
    .selectFrom("archive.windows")
    .select(["window_start", "window_end"])
    .where("repository_id", "=", repositoryId)
    .orderBy("window_start")
    .execute();
  return rows.map(({ window_start, window_end }) => ({ start: window_start, end: window_end }));
}

/**
 * A second in which GitHub shows 1,000 runs, its cap: a gap until a later listing shows fewer. It is removed from every window, so a
 * later scan can reopen what an earlier one closed. Idempotent.
 */
export async function markFullSecond(db: Database, repositoryId: number, secondStart: Date): Promise<void> {
  const secondEnd = new Date(secondStart.getTime() + 1000);
  await transact(db, async (trx) => {
    await sql`select from archive.repositories where repository_id = ${repositoryId} for no key update`.execute(trx);
    await trx
      .insertInto("archive.full_seconds")
      .values({ repository_id: repositoryId, second_start: secondStart })
      .onConflict((conflict) => conflict.doNothing())
      .execute();
    await removeFromWindows(trx, repositoryId, { start: secondStart, end: secondEnd });
  });
}

/** Removes a span from every window. Call it in a transaction that holds the repository's row. Idempotent. */
export async function removeFromWindows(trx: Database, repositoryId: number, { start, end }: Window): Promise<void> {
  await sql`
    with opened as (
      delete from archive.windows
      where repository_id = ${repositoryId} and window_start < ${end} and window_end > ${start}
      returning window_start, window_end, scanned_at
    )
    insert into archive.windows (repository_id, window_start, window_end, scanned_at)
    select ${repositoryId}::bigint, window_start, ${start}::timestamptz, scanned_at from opened where window_start < ${start}
    union all
    select ${repositoryId}::bigint, ${end}::timestamptz, window_end, scanned_at from opened where window_end > ${end}`.execute(
    trx,
  );
}

export async function listFullSeconds(db: Database): Promise<{ repository_id: number; second_start: Date }[]> {
  return db.selectFrom("archive.full_seconds").select(["repository_id", "second_start"]).orderBy("second_start").execute();
}
