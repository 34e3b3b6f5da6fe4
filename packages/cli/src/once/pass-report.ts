// The result of a pass: complete, or a list of what is missing.

import { countGaps, type Gap, type GapCount, isOwed, listGaps } from "@actions-archive/database/audit/gaps";
import type { Database } from "@actions-archive/database/connection/open-database";
import { countByReason, countWork, type ReasonCount, type WorkCounts } from "@actions-archive/database/ledger/summary";

import { countText } from "../count-text.ts";
import { formatTable } from "../format-table.ts";
import { describeGap } from "../gaps/describe-gap.ts";

export type PassReport = {
  readonly complete: boolean;
  readonly counts: WorkCounts;
  readonly logs: readonly ReasonCount[];
  /** Gaps of every kind and reason, counted. */
  readonly gaps: readonly GapCount[];
  /** The gaps that make the pass incomplete. */
  readonly owed: readonly Gap[];
  /** What this pass did not finish, and why; an earlier pass may have covered it. */
  readonly given_up: readonly string[];
  /** Runs in progress, and closed gaps: neither makes a pass incomplete. */
  readonly not_owed: readonly Gap[];
};

/** Of each kind and reason. */
const maxListLength = 1_000;
const maxPrintedChars = 20;

export async function makePassReport(db: Database, givenUp: readonly string[]): Promise<PassReport> {
  const counts = await countWork(db);
  const gaps = await countGaps(db);
  const list = async (choice: (gap: GapCount) => boolean) =>
    (
      await Promise.all(gaps.filter(choice).map(({ kind, reason }) => listGaps(db, { kind, reason, limit: maxListLength })))
    ).flat();
  return {
    complete: !gaps.some(isOwed) && givenUp.length === 0 && counts.unrecordedAttempts === 0,
    counts,
    logs: await countByReason(db),
    gaps,
    owed: await list(isOwed),
    given_up: givenUp,
    not_owed: await list((gap) => !isOwed(gap) && gap.kind !== "not_sealed"),
  };
}

/** The report for people. */
export function formatPassReport({ complete, counts, gaps, owed, given_up }: PassReport): string {
  const lines = [
    `${countText(counts.jobs, "job")}: ${countText(counts.archived, "log")} archived, ${counts.absent} absent, ${counts.failed} failed, ${counts.pending} pending.`,
    ...given_up.map((text) => `Not listed: ${text}`),
  ];
  const total = gaps.filter(isOwed).reduce((sum, group) => sum + group.gaps, 0);
  if (total > 0) {
    lines.push(
      "",
      `Still missing${total > maxPrintedChars ? ` (${maxPrintedChars} of ${total}; actions-archive gaps lists more)` : ""}:`,
      formatTable(owed.slice(0, maxPrintedChars).map(describeGap)),
    );
  }
  const count = (kind: string) =>
    gaps.filter((group) => group.kind === kind && !isOwed(group)).reduce((sum, group) => sum + group.gaps, 0);
  if (count("run_open") > 0)
    lines.push(`${countText(count("run_open"), "attempt is", "attempts are")} still in progress; a later pass archives them.`);
  if (count("attempt_gone") + count("never_completed") > 0)
    lines.push(
      `${countText(count("attempt_gone"), "attempt was", "attempts were")} deleted before their jobs were listed, ${count("never_completed")} never completed.`,
    );
  if (counts.unrecordedAttempts > 0) lines.push(`Still missing: ${countText(counts.unrecordedAttempts, "run record")}.`);
  lines.push(complete ? "Complete." : "Not complete.");
  return lines.join("\n");
}
