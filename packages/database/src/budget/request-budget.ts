// The statement behind a request's budget: it reports ended requests and asks for permission to start others.

import type { Pause, RateLimitReading } from "@actions-archive/core/budget";
import { sql } from "kysely";

import type { Database } from "../connection/open-database.ts";

export type BudgetLimits = {
  /** Share of GitHub's limit reserved for other clients. */
  readonly reservePercent: number;
  /** Own cap per credential and hour; also applies to a server without limits. */
  readonly maxPerHour?: number | undefined;
};

/**
 * What a process reports. `counted` requests ended and cost one each; `unread` of them returned no reading. `beganAgoMs`: age of the
 * request whose response has the reading, which counts all requests that had ended by then.
 */
export type UsageReport = {
  readonly counted: number;
  readonly unread: number;
  readonly reading?: (RateLimitReading & { readonly beganAgoMs: number }) | undefined;
  readonly pause?: Pause | undefined;
};

export type BudgetRequest = {
  readonly credential: string;
  /** Id of this process. */
  readonly holder: string;
  /** Total number of its running requests: the next call corrects a call whose result was lost. */
  readonly running: number;
  readonly wanted: number;
  readonly usage: UsageReport;
};

/** `waitMs`: until the pause ends, or until the next call is useful. */
export type BudgetGrant = { granted: number; wait_ms: number; is_paused: boolean; reason: string | null };

/** `clock` is the database's, read when the answer was computed, since the statement may have waited for a lock. */
export type TimedBudgetGrant = BudgetGrant & { clock: Date };

/** @throws the driver's errors, untranslated. */
export async function requestBudget(
  db: Database,
  { reservePercent, maxPerHour }: BudgetLimits,
  { credential, holder, running, wanted, usage }: BudgetRequest,
): Promise<TimedBudgetGrant> {
  const { counted, unread, reading, pause } = usage;
  const { rows } = await sql<TimedBudgetGrant>`
    select granted, wait_ms, is_paused, reason, archive.clock() as clock
    from archive.request_budget(${credential}, ${holder}::uuid, ${running}::integer, ${wanted}::integer, ${counted}::integer,
      ${unread}::integer, ${jsonOf(reading)}::jsonb, ${jsonOf(pause)}::jsonb, ${reservePercent}::integer,
      ${maxPerHour ?? null}::integer)
  `.execute(db);
  const [answer] = rows;
  if (answer === undefined) throw new Error("request_budget answers with one row");
  return answer;
}

function jsonOf(value: object | undefined): string | null {
  return value === undefined ? null : JSON.stringify(value);
}
