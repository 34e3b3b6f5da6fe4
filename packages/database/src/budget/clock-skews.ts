// API hosts whose Date headers are refused: recorded where they are refused, read by `status`.

import { sql } from "kysely";

import type { Database } from "../connection/open-database.ts";

export type ClockSkew = {
  host: string;
  /** Positive: GitHub's clock is ahead of the database's. */
  skew_seconds: number;
  since: Date;
  last_seen_at: Date;
};

/** Records the last refused Date of a host. Idempotent. */
export async function recordClockSkew(db: Database, host: string, skewSeconds: number): Promise<void> {
  await sql`
    insert into archive.clock_skews (host, skew_seconds, since, last_seen_at)
    values (${host}, ${skewSeconds}::integer, now(), now())
    on conflict (host) do update set
      skew_seconds = excluded.skew_seconds,
      since = case
        when clock_skews.cleared_at is null and clock_skews.last_seen_at > now() - interval '1 hour' then clock_skews.since
        else now()
      end,
      last_seen_at = now(),
      cleared_at = null
  `.execute(db);
}

/** Records that a host's dates are accepted again. Idempotent. */
export async function clearClockSkew(db: Database, host: string): Promise<void> {
  await sql`update archive.clock_skews set cleared_at = now() where host = ${host} and cleared_at is null`.execute(db);
}

/** Hosts whose dates were refused within the last hour, and not accepted since. */
export async function listClockSkews(db: Database): Promise<ClockSkew[]> {
  const { rows } = await sql<ClockSkew>`
    select host, skew_seconds, since, last_seen_at
    from archive.clock_skews
    where cleared_at is null and last_seen_at > now() - interval '1 hour'
    order by host
  `.execute(db);
  return rows;
}
