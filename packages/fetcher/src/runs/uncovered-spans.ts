// Computes the parts of a span of time that no window covers.

import type { Window } from "@actions-archive/database/ledger/windows";

/** @returns the parts of `span` outside of `windows`, newest first. Bounds are exact: a part begins where a window ends. */
export function uncoveredSpans(span: Window, windows: readonly Window[]): Window[] {
  const spans: Window[] = [];
  let from = span.start;
  for (const { start, end } of windows.toSorted((a, b) => a.start.getTime() - b.start.getTime())) {
    if (end <= from) continue;
    if (start >= span.end) break;
    if (start > from) spans.push({ start: from, end: start });
    from = end;
  }
  if (from < span.end) spans.push({ start: from, end: span.end });
  return spans.toReversed();
}
