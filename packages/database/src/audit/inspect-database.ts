// Reads how a database is set up, for `doctor`.

import { sql } from "kysely";

import type { Database } from "../connection/open-database.ts";

export type DatabaseFacts = {
  readonly version: string;
  readonly now: Date;
  /** Roles of docs/access.md that do not exist here. */
  readonly missingRoles: readonly string[];
  /** False where a crash of the server may lose what was committed. */
  readonly isDurable: boolean;
  readonly sizeBytes: number;
  readonly isReadOnly: boolean;
};

/** Reads settings and roles of the server. Writes nothing. */
export async function inspectDatabase(db: Database): Promise<DatabaseFacts> {
  const { rows } = await sql<DatabaseFacts>`
    select
      current_setting('server_version') as version,
      clock_timestamp() as now,
      array(
        select role from unnest(array['actions_archive_writer', 'actions_archive_auditor']) role
        where to_regrole(role) is null order by role
      ) as "missingRoles",
      current_setting('fsync') = 'on' and current_setting('full_page_writes') = 'on' as "isDurable",
      pg_database_size(current_database()) as "sizeBytes",
      pg_is_in_recovery() or current_setting('default_transaction_read_only') = 'on' as "isReadOnly"
  `.execute(db);
  const [facts] = rows;
  if (facts === undefined) throw new Error("Postgres answered a query without a FROM clause with no row");
  return facts;
}

/** When a webhook delivery was last received; null when there was none. */
export async function findLastDelivery(db: Database): Promise<Date | null> {
  const row = await db
    .selectFrom("archive.deliveries")
    .select((eb) => eb.fn.max("received_at").as("received_at"))
    .executeTakeFirst();
  return row?.received_at ?? null;
}

/** How many logs failed because their host is not in GITHUB_LOG_HOSTS, and the newest refusal in words. */
export async function findRefusedRedirects(db: Database): Promise<{ readonly logs: number; readonly detail: string | null }> {
  const { rows } = await sql<{ logs: number; detail: string | null }>`
    select count(*)::int as logs, (array_agg(log_detail order by completed_at desc nulls last))[1] as detail
    from audit.jobs
    where log_state = 'failed' and log_reason = 'redirect_refused'
  `.execute(db);
  return rows[0] ?? { logs: 0, detail: null };
}
