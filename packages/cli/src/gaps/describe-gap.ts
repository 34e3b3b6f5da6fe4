// Describes a gap for people: kind, place, time, reason and remedy.

import { type Gap, isOwed } from "@actions-archive/database/audit/gaps";

export type GapDescription = { what: string; where: string; since: Date | null; why: string; do: string };

/** @returns a row for `formatTable`. */
export function describeGap(gap: Gap): GapDescription {
  const { kind, since, reason, detail } = gap;
  return { what: kind, where: placeOf(gap), since, why: [reason, detail].filter(Boolean).join(": "), do: remedyOf(gap) };
}

function placeOf({ kind, repository, run_id, run_attempt, job_id, window_start, window_end }: Gap): string {
  if (repository === null) return "the archive";
  if (job_id !== null) return `${repository} job ${job_id} (run ${run_id})`;
  if (run_id !== null) return `${repository} run ${run_id}${run_attempt === null ? "" : ` attempt ${run_attempt}`}`;
  if (kind === "second_full" || kind === "object_unusable") return `${repository} ${time(window_start)}`;
  return `${repository} ${window_start ? time(window_start) : "…"} to ${window_end ? time(window_end) : "now"}`;
}

function remedyOf({ kind, reason }: Gap): string {
  switch (kind) {
    case "list_incomplete":
      return "nothing: it is read again every few hours; if it persists, contact GitHub support";
    case "object_unusable":
      return "nothing: it is read again; if it persists, report it";
    case "window_open":
      if (reason === "overdue") return "run the fetcher, or `start`";
      if (reason === "paused") return "`backfill resume`, or `backfill cancel`";
      return reason === "problem" ? "see why; it is retried automatically" : "nothing: a poll will list it";
    case "second_full":
      return "nothing: GitHub lists no more runs; webhooks report the rest";
    case "run_open":
      if (reason === "not_selected") return "select the repository again, or ignore it";
      return isOwed({ kind, reason }) ? "nothing: a poll lists its jobs again" : "nothing: its jobs come as they complete";
    case "never_completed":
    case "attempt_gone":
      return "nothing: it is reopened if GitHub shows the run again";
    case "job_not_loaded":
      if (reason === "not_completed") return "nothing: GitHub never completed it";
      return reason === "unloadable" ? "report it; after an update `retry`" : "nothing: the loader will load it";
    case "log_pending":
      return "nothing: it is requested when due";
    case "log_failed":
      return remedyOfFailure(reason);
    case "log_without_record":
      return "report it: this should not happen";
    case "not_sealed":
      if (reason === "no_key") return "give the loader a SEAL_KEY";
      return reason === "problem" ? "see why; it is retried automatically" : "run the loader, or `start`, or `seal`";
  }
}

function remedyOfFailure(reason: string | null): string {
  switch (reason ?? "") {
    case "forbidden":
    case "no_access":
      return "grant the credential Actions: read, then `retry`";
    case "redirect_refused":
      return "if the host is yours, add it to GITHUB_LOG_HOSTS, then `retry`";
    case "too_large":
      return "raise MAX_LOG_BYTES, then `retry`";
    case "unloadable":
      return "report it; after an update `retry`";
    default:
      return "nothing: retried daily; or `retry` now";
  }
}

function time(date: Date | null): string {
  return date?.toISOString().replace(".000Z", "Z") ?? "";
}
