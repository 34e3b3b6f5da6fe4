// The one statement behind a request's budget: it tells Postgres what ended, and asks what may start.

import type { Pause, RateLimitReading } from "@actions-archive/core/budget";
import { sql } from "kysely";

import type { Database } from "../connection/open-database.ts";

export type BudgetLimits = {
  /** Of GitHub's own limit, this much is left to others. */
  readonly reservePercent: number;
  /** Our own cap per credential and hour, for a server without limits too. */
  readonly maxPerHour?: number | undefined;
};

/**
 * What a process has to tell. `counted` requests ended and cost one each, `unread` ones of them without a reading.
 * `beganAgoMs`: when the request began whose answer brought the reading; it counts all that had ended by then.
 */
export type UsageReport = {
  readonly counted: number;
  readonly unread: number;
  readonly reading?: (RateLimitReading & { readonly beganAgoMs: number }) | undefined;
  readonly pause?: Pause | undefined;
};

export type BudgetRequest = {
  readonly credential: string;
  /** This process. */
  readonly holder: string;
  /** How many requests it runs, as a whole count: a call whose outcome was lost is set right by the next one. */
  readonly running: number;
  readonly wanted: number;
  readonly tidings: UsageReport;
};

/** `waitMs`: until the pause ends, or until it is worth asking again. */
export type BudgetGrant = { granted: number; wait_ms: number; is_paused: boolean; reason: string | null };

/** `clock` is the database's, once the answer was found: the statement may have waited for its turn. */
export type TimedBudgetGrant = BudgetGrant & { clock: Date };

/** @throws the driver's errors as they are. */
export async function requestBudget(
  db: Database,
  { reservePercent, maxPerHour }: BudgetLimits,
  { credential, holder, running, wanted, tidings }: BudgetRequest,
): Promise<TimedBudgetGrant> {
  const { counted, unread, reading, pause } = tidings;
  const { rows } = await sql<TimedBudgetGrant>`
    select granted, wait_ms, is_paused, reason, archive.clock() as clock
    from archive.ask_budget(${credential}, ${holder}::uuid, ${running}::integer, ${wanted}::integer, ${counted}::integer,
      ${unread}::integer, ${jsonOf(reading)}::jsonb, ${jsonOf(pause)}::jsonb, ${reservePercent}::integer,
      ${maxPerHour ?? null}::integer)
  `.execute(db);
  const [answer] = rows;
  if (answer === undefined) throw new Error("ask_budget answers with one row");
  return answer;
}

function jsonOf(value: object | undefined): string | null {
  return value === undefined ? null : JSON.stringify(value);
}
