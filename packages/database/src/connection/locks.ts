// Locks of the archive, each a row of archive.locks. Any role, an auditor's too, can take an advisory lock; a row lock requires the
// right to update the table.

import { sql } from "kysely";

import { type Database, transact } from "./open-database.ts";

export type LockName = "sealing" | "seals" | "rebuild" | "removal" | `reread ${number}`;

/**
 * Waits for a lock and holds it until the end of the caller's transaction.
 * @throws TransientError after the session's lock_timeout.
 */
export async function lock(trx: Database, name: LockName): Promise<void> {
  await sql`select from archive.locks where name = ${name} for update`.execute(trx);
}

/**
 * Runs `work`, which uses its own connections, under a lock that ends with this call or with the process.
 * @returns undefined, without calling `work`, if another process holds the lock.
 */
export async function withLock<T>(db: Database, name: LockName, work: () => Promise<T>): Promise<T | undefined> {
  return transact(db, async (trx) => {
    // The session is idle while `work` runs, for hours in a rebuild.
    await sql`set local idle_in_transaction_session_timeout = 0`.execute(trx);
    const { rows } = await sql`select from archive.locks where name = ${name} for update skip locked`.execute(trx);
    return rows.length === 0 ? undefined : work();
  });
}

export type Blocker = {
  /** How long our session has waited. */
  seconds: number;
  blocked_pid: number;
  blocked_application: string;
  pid: number;
  role: string | null;
  application: string | null;
};

/** Sessions of this archive's programs that have waited for a lock for `seconds`, each with the sessions that block it. */
export async function listBlockers(db: Database, seconds: number): Promise<Blocker[]> {
  const { rows } = await sql<Blocker>`
    select
      floor(extract(epoch from clock_timestamp() - blocked.query_start))::integer as seconds,
      blocked.pid as blocked_pid, blocked.application_name as blocked_application,
      blocking.pid, holder.usename as role, holder.application_name as application
    from pg_stat_activity as blocked
    cross join lateral unnest(pg_blocking_pids(blocked.pid)) as blocking(pid)
    left join pg_stat_activity as holder on holder.pid = blocking.pid
    where blocked.datname = current_database()
      and blocked.application_name like 'actions-archive %'
      and blocked.wait_event_type = 'Lock'
      and blocked.query_start < clock_timestamp() - make_interval(secs => ${seconds})
    order by blocked.query_start, blocking.pid
  `.execute(db);
  return rows;
}
