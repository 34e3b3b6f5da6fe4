// Checks the requests to GitHub: none during a pause, never more than the budget, and one per log.

import { minuteMs } from "@actions-archive/core/durations";

import type { Pause } from "./archive-journal.ts";
import type { CheckContext } from "./check-context.ts";
import { type Violation, violationsOf } from "./violation.ts";

/** Grace for requests that were in flight when the answer came. */
const inFlightMs = 1_000;
/** https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits */
const maxPerMinute = 900;
/** The default of GITHUB_RESERVE_PERCENT. */
const defaultReservePercent = 20;

/** I6. */
export function checkRate({ evidence: { journal, reservePercent = defaultReservePercent } }: CheckContext): Violation[] {
  const arrivals = new Map([...journal.arrivals].map(([credential, times]) => [credential, times.toSorted((a, b) => a - b)]));
  const inPauses = journal.pauses.flatMap((pause) => checkPause(pause, arrivals.get(pause.credential) ?? []));
  const windows = [...journal.windows.values()].flatMap(({ credential, limit, counted }) => {
    const budget = Math.floor((limit * (100 - reservePercent)) / 100);
    return counted > budget ? [`${credential} asked ${counted} times in a window of ${budget}`] : [];
  });
  // A server that reports no limit has none.
  const limited = new Set([...journal.windows.values()].map(({ credential }) => credential));
  const minutes = [...limited].flatMap((credential) => checkMinutes(credential, arrivals.get(credential) ?? []));
  return violationsOf("I6", [...inPauses, ...windows, ...minutes]);
}

function checkPause({ credential, fromMs, untilMs }: Pause, arrivals: readonly number[]): string[] {
  const during = arrivals.filter((at) => at > fromMs + inFlightMs && at < untilMs);
  const [first] = during;
  if (first === undefined) return [];
  const seconds = ((first - fromMs) / 1000).toFixed(1);
  const pause = ((untilMs - fromMs) / 1000).toFixed(0);
  return [`${credential} asked ${during.length} times in a pause of ${pause} s, first ${seconds} s after it began`];
}

function checkMinutes(credential: string, arrivals: readonly number[]): string[] {
  const most = arrivals.reduce(
    (seen, at, index) => {
      let { first } = seen;
      while ((arrivals[first] ?? at) <= at - minuteMs) first += 1;
      return { first, most: Math.max(seen.most, index - first + 1) };
    },
    { first: 0, most: 0 },
  );
  return most.most > maxPerMinute ? [`${credential} asked ${most.most} times within a minute`] : [];
}

/** I3: a log without its end marker is read twice; every other one is served once. */
export function checkDownloads({ evidence: { journal, hadFaults }, rows }: CheckContext): Violation[] {
  if (hadFaults) return [];
  const wrong = rows.jobs.flatMap(({ job_id, log_flags, log_state }) => {
    const times = journal.served.get(job_id) ?? 0;
    const most = log_flags.includes("no_end_marker") || log_state !== "archived" ? 2 : 1;
    return times > most ? [`the log of job ${job_id} was downloaded ${times} times`] : [];
  });
  return violationsOf("I3", wrong);
}
