import type { Budget } from "@actions-archive/core/budget";
import { RateLimitedError } from "@actions-archive/core/errors";
// The budget of each GitHub credential, in Postgres: when one is told to wait, every worker waits.
import { sql } from "kysely";

import type { Database } from "./open-database.ts";

/** Asking the database before each of 15 requests a second is waste: one answer serves this long. */
const cachedForMs = 500;

export type PausedCredential = { credential: string; paused_until: Date; pause_reason: string | null };

/**
 * A budget that all processes share. `reservePercent` of GitHub's limit stays for others: once the remaining requests
 * are that few, the credential pauses until the limit's reset.
 */
export function openDatabaseBudget(db: Database, { reservePercent }: { reservePercent: number }): Budget {
  const cache = new Map<string, { until: Date; reason: string | null; readAt: number }>();
  // Pauses are kept by the database's clock; `until` is by this machine's, which may differ from those of other workers.
  const pause = async (credential: string, until: Date, reason: string): Promise<void> => {
    cache.set(credential, { until, reason, readAt: performance.now() });
    const pausedUntil = sql<Date>`now() + make_interval(secs => ${Math.max(0, until.getTime() - Date.now()) / 1000})`;
    await db
      .insertInto("archive.credentials")
      .values({ credential, paused_until: pausedUntil, pause_reason: reason })
      .onConflict((conflict) =>
        conflict
          .column("credential")
          .doUpdateSet({ paused_until: pausedUntil, pause_reason: reason })
          .where(sql<boolean>`credentials.paused_until is null or credentials.paused_until < excluded.paused_until`),
      )
      .execute();
  };
  return {
    pause,
    async acquire(credential) {
      let known = cache.get(credential);
      if (known === undefined || performance.now() - known.readAt > cachedForMs) {
        const row = await db
          .selectFrom("archive.credentials")
          .select([
            sql<number>`greatest(0, coalesce(extract(epoch from paused_until - now()), 0))::float8 * 1000`.as("left_ms"),
            "pause_reason",
          ])
          .where("credential", "=", credential)
          .executeTakeFirst();
        known = {
          until: new Date(Date.now() + (row?.left_ms ?? 0)),
          reason: row?.pause_reason ?? null,
          readAt: performance.now(),
        };
        cache.set(credential, known);
      }
      if (known.until.getTime() > Date.now()) {
        throw new RateLimitedError(
          `GitHub credential ${credential} pauses until ${known.until.toISOString()}: ${known.reason ?? "limit"}`,
          known.until,
        );
      }
    },
    async observe(credential, { limit, remaining, resetAt }) {
      const reserve = Math.floor((limit * reservePercent) / 100);
      await db
        .insertInto("archive.credentials")
        .values({ credential, limit_per_hour: limit, remaining, reset_at: resetAt, observed_at: sql<Date>`now()` })
        .onConflict((conflict) =>
          conflict
            .column("credential")
            .doUpdateSet({ limit_per_hour: limit, remaining, reset_at: resetAt, observed_at: sql<Date>`now()` }),
        )
        .execute();
      if (remaining <= reserve)
        await pause(credential, resetAt, `${remaining} of ${limit} requests left, ${reserve} are reserved for others`);
    },
  };
}

/** Credentials that pause now, for operators. */
export async function listPausedCredentials(db: Database): Promise<PausedCredential[]> {
  const rows = await db
    .selectFrom("archive.credentials")
    .select(["credential", "paused_until", "pause_reason"])
    .where("paused_until", ">", sql<Date>`now()`)
    .execute();
  return rows.flatMap(({ paused_until, ...row }) => (paused_until ? [{ ...row, paused_until }] : []));
}
