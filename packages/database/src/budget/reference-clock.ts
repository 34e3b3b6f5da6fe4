// The database's clock, with which GitHub's dates are compared. The statement of a request's budget reads it, too.

import type { ReferenceClock } from "@actions-archive/core/budget";
import { sql } from "kysely";

import { translateDatabaseError } from "../connection/failure.ts";
import type { Database } from "../connection/open-database.ts";
import { clearClockSkew, recordClockSkew } from "./clock-skews.ts";

export type DatabaseClock = ReferenceClock & {
  /** Accepts a reading of `archive.clock()` that arrived just now. */
  readonly observe: (reading: Date) => void;
};

/** Opens the clock without reading it. */
export function openReferenceClock(db: Database): DatabaseClock {
  let last: { readonly readingMs: number; readonly arrivedAt: number } | undefined;
  const observe = (reading: Date): Date => {
    last = { readingMs: reading.getTime(), arrivedAt: performance.now() };
    return reading;
  };
  return {
    observe,
    now: () => (last === undefined ? undefined : new Date(last.readingMs + performance.now() - last.arrivedAt)),
    async read() {
      try {
        const { rows } = await sql<{ clock: Date }>`select archive.clock() as clock`.execute(db);
        const [row] = rows;
        if (row === undefined) throw new Error("a select without a from answers with one row");
        return observe(row.clock);
      } catch (error) {
        throw translateDatabaseError(error);
      }
    },
    recordSkew: (host, skewMs) =>
      skewMs === undefined ? clearClockSkew(db, host) : recordClockSkew(db, host, Math.round(skewMs / 1_000)),
  };
}
