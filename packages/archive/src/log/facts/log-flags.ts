// Flags a complete log whose end is missing or whose times do not fit the job. A flagged log is stored all the same.

import type { LogFlag } from "@actions-archive/core/states";

import type { LogTotals } from "../log-format.ts";

const missingEndSeconds = 5;
const outsideWindowSeconds = 120;

/**
 * Whether the log seems to lack its end: its last lines do not include "Cleaning up orphan processes" *and* its last time is more than 5
 * seconds before the job's end. Such a log may still grow, so it is read once more before it is stored.
 */
export function lacksEnd({ tail, lastTime }: Pick<LogTotals, "tail" | "lastTime">, completedAt: Date | undefined): boolean {
  if (tail.hasEndMarker || lastTime === undefined || completedAt === undefined) return false;
  return completedAt.getTime() - Date.parse(lastTime) > missingEndSeconds * 1000;
}

/** Whether no line has a timestamp. The runner stamps each line that it writes, so this is probably not a log. */
export function lacksTimestamps({ firstTime }: Pick<LogTotals, "firstTime">): boolean {
  return firstTime === undefined;
}

/** The flags that depend on the log's text. Lines before the job's start are normal, while it waits for a runner. */
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
