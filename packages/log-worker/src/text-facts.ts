// What a record says of a log's text.

import type { LogTotals } from "@actions-archive/archive/log-format";
import type { ArchivedLog } from "@actions-archive/archive/record";

export function textFacts(totals: LogTotals): Pick<ArchivedLog, "lines" | "first_time" | "last_time" | "oddities"> {
  const { bom, crlf, nul, linesWithoutTime } = totals.oddities;
  return {
    lines: totals.lines,
    first_time: totals.firstTime ?? null,
    last_time: totals.lastTime ?? null,
    oddities: { bom, crlf, nul, lines_without_time: linesWithoutTime },
  };
}
