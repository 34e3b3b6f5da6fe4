// Budgets of GitHub credentials, in Postgres: a pause of a credential applies to every worker.

import { randomUUID } from "node:crypto";

import type { Budget } from "@actions-archive/core/budget";
import { sql } from "kysely";

import type { Database } from "../connection/open-database.ts";
import { BudgetAccount } from "./budget-account.ts";
import { openReferenceClock } from "./reference-clock.ts";
import { requestBudget, type BudgetLimits } from "./request-budget.ts";

/** The pace delays no request longer than 63 seconds. */
const maxPaceMs = 90_000;

export type DatabaseBudgetOptions = BudgetLimits & {
  /** How long `acquire` waits for a turn before it refuses; one minute of the pace by default. */
  readonly maxTurnMs?: number;
  /** This machine's time in milliseconds, to report the end of a pause. The database's clock decides what may start. */
  readonly now?: () => number;
};

/**
 * A budget that all processes on one database share. A database belongs to one GitHub host, so a credential's id is its key.
 * `reservePercent` of GitHub's limit is never used; at most 100 requests run at once, and at most 900 start in any minute, by the
 * database's clock; `maxPerHour` is our own cap. Waiting processes get equal shares. `acquire` throws TransientError
 * `database/unavailable` while Postgres is unavailable: without the database no request is sent.
 */
export function openDatabaseBudget(db: Database, options: DatabaseBudgetOptions): Budget {
  const { now = Date.now, maxTurnMs = maxPaceMs, ...limits } = options;
  const holder = randomUUID();
  const clock = openReferenceClock(db);
  const accounts = new Map<string, BudgetAccount>();
  const accountOf = (credential: string): BudgetAccount => {
    const known = accounts.get(credential);
    if (known !== undefined) return known;
    const opened = new BudgetAccount(credential, {
      async ask(question) {
        const answer = await requestBudget(db, limits, { ...question, credential, holder });
        clock.observe(answer.clock);
        return answer;
      },
      maxTurnMs,
      now,
    });
    accounts.set(credential, opened);
    return opened;
  };
  return {
    clock,
    acquire: (credential, signal) => accountOf(credential).acquire(signal),
    pause: (credential, pause) => accountOf(credential).pause(pause),
  };
}

export type CredentialState = {
  credential: string;
  /** Null if it is not paused now. */
  paused_until: Date | null;
  pause_reason: string | null;
  /** GitHub's limit in its current window, over all clients; null on a server without limits, or before the first reading. */
  limit: number | null;
  used: number | null;
  remaining: number | null;
  reset_at: Date | null;
  /** Own requests in the current hour of our count. */
  requests_this_hour: number;
  running: number;
};

/** Every credential that was ever used, for operators. */
export async function listCredentials(db: Database): Promise<CredentialState[]> {
  const { rows } = await sql<CredentialState>`
    select credential,
      case when paused_until > now() then paused_until end as paused_until,
      case when paused_until > now() then pause_reason end as pause_reason,
      case when reset_at > now() then limit_per_hour end as "limit",
      case when reset_at > now() then used + unread end as used,
      case when reset_at > now() then greatest(limit_per_hour - used - unread, 0) end as remaining,
      case when reset_at > now() then reset_at end as reset_at,
      case when hour_started_at > now() - interval '1 hour' then hour_requests else 0 end as requests_this_hour,
      (select coalesce(sum(requests), 0)::integer from archive.credential_holders as holders
        where holders.credential = credentials.credential and leased_until > now()) as running
    from archive.credentials
    order by credential
  `.execute(db);
  return rows;
}
