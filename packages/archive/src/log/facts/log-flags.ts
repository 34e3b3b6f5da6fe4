// The doubts about a log that was read whole: has it its end, and does it fit the job's times? Pure. Such a log is stored and flagged.

import type { LogFlag } from "@actions-archive/core/states";

import type { LogTotals } from "../log-format.ts";

const missingEndSeconds = 5;
const outsideWindowSeconds = 120;

/**
 * Whether the log seems to lack its end: no "Cleaning up orphan processes" among its last lines *and* its last time well
 * before the job's end. Such a log may still be growing, and is read once more before it is stored.
 */
export function lacksEnd({ tail, lastTime }: Pick<LogTotals, "tail" | "lastTime">, completedAt: Date | undefined): boolean {
  if (tail.hasEndMarker || lastTime === undefined || completedAt === undefined) return false;
  return completedAt.getTime() - Date.parse(lastTime) > missingEndSeconds * 1000;
}

/** Whether no line has the runner's timestamp. The runner stamps each line it writes, so this is hardly a log. */
export function lacksTimestamps({ firstTime }: Pick<LogTotals, "firstTime">): boolean {
  return firstTime === undefined;
}

/** The doubts about a log that follow from its own text. Lines before the job's start are normal: it waited for a runner. */
export function flagsOf(totals: Pick<LogTotals, "tail" | "firstTime" | "lastTime">, completedAt: Date | undefined): LogFlag[] {
  const flags: LogFlag[] = [];
  if (lacksTimestamps(totals)) flags.push("no_timestamps");
  if (lacksEnd(totals, completedAt)) flags.push("no_end_marker");
  if (totals.lastTime !== undefined && completedAt !== undefined) {
    const distanceMs = Math.abs(Date.parse(totals.lastTime) - completedAt.getTime());
    if (distanceMs > outsideWindowSeconds * 1000) flags.push("outside_job_window");
  }
  return flags;
}
