// Reads audit.gaps, the one definition of a gap for `gaps`, `status` and the end of a pass.

import type { GapKind } from "@actions-archive/core/states";
import { sql } from "kysely";

import type { Database } from "../connection/open-database.ts";

export type Gap = {
  kind: GapKind;
  repository: string | null;
  run_id: number | null;
  run_attempt: number | null;
  job_id: number | null;
  window_start: Date | null;
  window_end: Date | null;
  reason: string | null;
  detail: string | null;
  since: Date | null;
};

export type GapChoice = { readonly kind?: GapKind | undefined; readonly repository?: string | undefined };

export type GapCount = { kind: GapKind; reason: string | null; gaps: number };

/**
 * Number of gaps of each kind and reason.
 * @param choice.repository owner/name, case-insensitive.
 */
export async function countGaps(db: Database, choice: GapChoice = {}): Promise<GapCount[]> {
  const rows = await chosen(db, choice)
    .select(({ fn }) => ["kind", "reason", fn.countAll<number>().as("gaps")])
    .groupBy(["kind", "reason"])
    .orderBy("kind")
    .orderBy("reason")
    .execute();
  // The view has no other values.
  return rows.map((row) => ({ ...row, kind: row.kind as GapKind }));
}

/** Gaps by kind, longest open first. */
export async function listGaps(
  db: Database,
  { reason, limit, ...choice }: GapChoice & { readonly reason?: string | null | undefined; readonly limit: number },
): Promise<Gap[]> {
  const rows = await chosen(db, choice)
    .select(["kind", "repository", "run_id", "run_attempt", "job_id", "window_start", "window_end", "reason", "detail", "since"])
    .$if(reason !== undefined, (query) => query.where("reason", "is not distinct from", reason ?? null))
    .orderBy("kind")
    .orderBy("since")
    .orderBy("run_id")
    .orderBy("job_id")
    .limit(limit)
    .execute();
  return rows.map((row) => ({ ...row, kind: row.kind as GapKind }));
}

function chosen(db: Database, { kind, repository }: GapChoice) {
  return db
    .selectFrom("audit.gaps")
    .$if(kind !== undefined, (query) => query.where("kind", "=", kind ?? null))
    .$if(repository !== undefined, (query) => query.where(sql<boolean>`lower(repository) = lower(${repository ?? null}::text)`));
}

/** Reasons of ended attempts. Others are the run's own status. */
const owedReasons: ReadonlySet<string | null> = new Set([
  "unlisted",
  "lagging",
  "incomplete",
  "empty",
  "unusable",
  "list_not_found",
  "run_not_found",
  "unreadable",
]);

/**
 * Whether a gap makes a pass incomplete. Excluded are runs in progress or completed moments ago, closed gaps, gaps that no listing has
 * checked since the pass began, and missing seals.
 */
export function isOwed({ kind, reason }: Pick<GapCount, "kind" | "reason">): boolean {
  switch (kind) {
    case "never_completed":
    case "attempt_gone":
    case "not_sealed":
      return false;
    case "run_open":
      return owedReasons.has(reason);
    case "window_open":
      return reason !== "overdue";
    case "second_full":
    case "list_incomplete":
    case "object_unusable":
    case "job_not_loaded":
    case "log_pending":
    case "log_failed":
    case "log_without_record":
      return true;
  }
}
