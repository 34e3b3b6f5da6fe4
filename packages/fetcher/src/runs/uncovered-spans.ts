// Which parts of a span of time no window covers.

import type { Window } from "@actions-archive/database/ledger/windows";

/** @returns the parts of `whole` outside of `windows`, newest first; neighbours of a window begin where it ends. */
export function uncoveredSpans(whole: Window, windows: readonly Window[]): Window[] {
  const spans: Window[] = [];
  let from = whole.start;
  for (const { start, end } of windows.toSorted((a, b) => a.start.getTime() - b.start.getTime())) {
    if (end <= from) continue;
    if (start >= whole.end) break;
    if (start > from) spans.push({ start: from, end: start });
    from = end;
  }
  if (from < whole.end) spans.push({ start: from, end: whole.end });
  return spans.toReversed();
}
