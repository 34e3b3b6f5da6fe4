// Spans of created_at that are listed again: GitHub counted more runs than it showed, showed an unusable run, or showed the span only
// once, long before any other listing of it.

import { sql } from "kysely";

import { type Database, transact } from "../connection/open-database.ts";
import { maxFailedChecks } from "./attempts.ts";
import { removeFromWindows, type Window } from "./windows.ts";

export type WindowCheckReason = "incomplete" | "unusable" | "second_listing";

export type WindowCheck = Window & {
  readonly reason: WindowCheckReason;
  readonly isDue: boolean;
  /** Whether it is a gap of its own after several tries, and listed with backoff. */
  readonly isGap: boolean;
};

/** How many runs GitHub counted in a span, and how many distinct ones it showed. */
export type Shortfall = { readonly promised: number; readonly shown: number };

const firstRetrySeconds = 10;
const maxRetrySeconds = 6 * 60 * 60;

/**
 * A span is not covered, because GitHub counted more runs than it showed. It is removed from every window and listed again with
 * backoff. Not idempotent: each call counts as one try.
 */
export async function recordIncompleteWindow(
  db: Database,
  repositoryId: number,
  window: Window,
  { promised, shown }: Shortfall,
): Promise<void> {
  await transact(db, async (trx) => {
    await sql`select from archive.repositories where repository_id = ${repositoryId} for no key update`.execute(trx);
    await removeFromWindows(trx, repositoryId, window);
    await recordCheck(trx, repositoryId, window, { reason: "incomplete", promised, shown });
  });
}

/** A span is covered except for an unusable run: it is listed again with backoff. Counts as one try. */
export async function recordUnusableWindow(db: Database, repositoryId: number, window: Window): Promise<void> {
  await recordCheck(db, repositoryId, window, { reason: "unusable", promised: null, shown: null });
}

type Check = { reason: WindowCheckReason; promised: number | null; shown: number | null };

// The span of an earlier check was listed completely. Parts that are still incomplete are recorded again, and inherit its tries.
async function recordCheck(db: Database, repositoryId: number, { start, end }: Window, check: Check): Promise<void> {
  const { reason, promised, shown } = check;
  await sql`
    with earlier as (
      delete from archive.window_checks
      where repository_id = ${repositoryId} and reason = ${reason} and window_start < ${end} and window_end > ${start}
      returning tries, first_seen_at, incomplete_since
    ),
    counted as (
      select coalesce(max(tries), 0) + 1 as tries, coalesce(min(first_seen_at), now()) as first_seen_at,
        min(incomplete_since) as incomplete_since
      from earlier
    )
    insert into archive.window_checks (repository_id, window_start, window_end, reason, promised_runs, shown_runs, tries,
      due_at, first_seen_at, incomplete_since)
    select ${repositoryId}::bigint, ${start}::timestamptz, ${end}::timestamptz, ${reason}, ${promised}::integer, ${shown}::integer, tries,
      now() + make_interval(secs => least(${maxRetrySeconds}::integer, ${firstRetrySeconds} * 2 ^ least(tries - 1, 20))), first_seen_at,
      case when ${reason} = 'incomplete' and tries >= ${maxFailedChecks} then coalesce(incomplete_since, now()) end
    from counted
    on conflict (repository_id, window_start, window_end) do update set
      reason = excluded.reason,
      promised_runs = excluded.promised_runs,
      shown_runs = excluded.shown_runs,
      tries = excluded.tries,
      due_at = excluded.due_at,
      incomplete_since = excluded.incomplete_since
  `.execute(db);
}

/** Schedules a second listing of a covered span in `seconds`. Adjacent spans of the same kind are merged. Idempotent. */
export async function scheduleSecondListing(
  db: Database,
  repositoryId: number,
  { start, end }: Window,
  seconds: number,
): Promise<void> {
  if (start >= end) return;
  await transact(db, async (trx) => {
    await sql`select from archive.repositories where repository_id = ${repositoryId} for no key update`.execute(trx);
    await sql`
      with touching as (
        delete from archive.window_checks
        where repository_id = ${repositoryId} and reason = 'second_listing' and window_start <= ${end} and window_end >= ${start}
        returning window_start, window_end, first_seen_at
      )
      insert into archive.window_checks (repository_id, window_start, window_end, reason, due_at, first_seen_at)
      select ${repositoryId}::bigint, least(${start}::timestamptz, min(window_start)), greatest(${end}::timestamptz, max(window_end)),
        'second_listing', now() + make_interval(secs => ${seconds}), coalesce(min(first_seen_at), now())
      from touching
      on conflict (repository_id, window_start, window_end) do nothing
    `.execute(trx);
  });
}

/** Spans of a repository that are to be listed again, due or not, oldest first. */
export async function listWindowChecks(db: Database, repositoryId: number): Promise<WindowCheck[]> {
  const rows = await db
    .selectFrom("archive.window_checks")
    .select(["window_start as start", "window_end as end", "reason", sql<boolean>`due_at <= now()`.as("isDue")])
    .select(sql<boolean>`incomplete_since is not null`.as("isGap"))
    .where("repository_id", "=", repositoryId)
    .orderBy("window_start")
    .execute();
  // A check constraint restricts the column to these words.
  return rows.map((row) => ({ ...row, reason: row.reason as WindowCheckReason }));
}

/** A span was listed a second time. Idempotent. */
export async function finishSecondListing(db: Database, repositoryId: number, { start, end }: Window): Promise<void> {
  await db
    .deleteFrom("archive.window_checks")
    .where("repository_id", "=", repositoryId)
    .where("reason", "=", "second_listing")
    .where("window_start", "=", start)
    .where("window_end", "=", end)
    .execute();
}
