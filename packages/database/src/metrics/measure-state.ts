// The state of the archive as numbers, for the gauges of `/metrics`.

import type { Readings } from "@actions-archive/core/metrics";
import { sql } from "kysely";

import { countGaps } from "../audit/gaps.ts";
import { listCredentials } from "../budget/credentials.ts";
import type { Database } from "../connection/open-database.ts";
import { countDamages } from "../seal/scrub.ts";
import { findSealing } from "../seal/sealing.ts";

const expiringHours = 48;

type LedgerState = {
  pending: number;
  oldestPendingSeconds: number | null;
  expiring: number;
  backfilled: number;
  uncoveredSeconds: number;
};

/** Scrapers of several systems share one reading. */
const ttlMs = 10_000;

/** A source of gauges that reads the database at most every 10 s. */
export function createStateSource(db: Database): () => Promise<Readings> {
  let last: { readonly at: number; readonly readings: Promise<Readings> } | undefined;
  return () => {
    if (last === undefined || performance.now() - last.at > ttlMs) last = { at: performance.now(), readings: measureState(db) };
    return last.readings;
  };
}

async function measureState(db: Database): Promise<Readings> {
  const [ledger, gaps, credentials, sealing, damages] = await Promise.all([
    measureLedger(db),
    countGaps(db),
    listCredentials(db),
    findSealing(db),
    countDamages(db),
  ]);
  const ratios = credentials.flatMap(({ limit, remaining }) => (limit && remaining !== null ? [remaining / limit] : []));
  const pauses = credentials.map(({ paused_until }) =>
    paused_until === null ? 0 : (paused_until.getTime() - Date.now()) / 1_000,
  );
  const gapCounts = Map.groupBy(gaps, ({ kind }) => kind);
  return {
    pending_logs: [{ value: ledger.pending }],
    oldest_pending_seconds: [{ value: ledger.oldestPendingSeconds ?? 0 }],
    expiring_logs: [{ labels: { within: `${expiringHours}h` }, value: ledger.expiring }],
    gaps: [...gapCounts].map(([kind, counts]) => ({
      labels: { kind },
      value: counts.reduce((sum, { gaps: count }) => sum + count, 0),
    })),
    uncovered_seconds: [{ value: ledger.uncoveredSeconds }],
    github_budget_remaining_ratio: ratios.length === 0 ? [] : [{ value: Math.min(...ratios) }],
    github_paused_seconds: [{ value: Math.max(0, ...pauses) }],
    seal_age_seconds: sealing.head === null ? [] : [{ value: (Date.now() - sealing.head.sealed_at.getTime()) / 1_000 }],
    unsealed_objects: [{ value: sealing.unsealed_objects }],
    scrub_mismatches: [{ value: damages.damaged - damages.repaired }],
    backfill_jobs_remaining: [{ value: ledger.backfilled }],
  };
}

async function measureLedger(db: Database): Promise<LedgerState> {
  const { rows } = await sql<LedgerState>`
    select
      count(*) filter (where log_state = 'pending') as pending,
      extract(epoch from now() - min(completed_at) filter (where log_state = 'pending'))::float8 as "oldestPendingSeconds",
      count(*) filter (where expires_at < now() + make_interval(hours => ${expiringHours})) as expiring,
      count(*) filter (where log_state = 'pending' and backfill_id in (select backfill_id from archive.backfills where state = 'running'))
        as backfilled,
      (
        select coalesce(sum(extract(epoch from coalesce(window_end, now()) - window_start)), 0)::float8
        from audit.gaps
        where kind in ('window_open', 'list_incomplete') and window_start is not null
      ) as "uncoveredSeconds"
    from archive.log_jobs
    where log_state in ('pending', 'failed')
  `.execute(db);
  const [row] = rows;
  if (row === undefined) throw new Error("an aggregate without a group answers with one row");
  return row;
}
