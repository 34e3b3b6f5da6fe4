// The states of a log, their reasons, the flags of archived logs, and the kinds of gaps. All are public names.

import { z } from "zod";

export const LogState = z.enum(["pending", "archived", "absent", "failed"]);
export type LogState = z.output<typeof LogState>;

/** Why there is no log: a verified reason. */
export const AbsentReason = z.enum(["not_run", "not_a_job", "copied", "expired", "deleted", "empty", "removed"]);
export type AbsentReason = z.output<typeof AbsentReason>;

/** Why a log could not be downloaded; it is a gap and retried. */
export const FailedReason = z.enum([
  "forbidden",
  "no_access",
  "redirect_refused",
  "too_large",
  "incomplete",
  "upstream_error",
  "crashed",
  "unloadable",
]);
export type FailedReason = z.output<typeof FailedReason>;

/** Flags of an archived log that may be incomplete or unusual. It is stored all the same. */
export const LogFlag = z.enum([
  "outside_job_window",
  "no_end_marker",
  "no_timestamps",
  "changed_since",
  "same_as_other_job",
  "adopted",
]);
export type LogFlag = z.output<typeof LogFlag>;

/** The kinds of items that the ledger owes or has lost, as in `audit.gaps`. */
export const GapKind = z.enum([
  "window_open",
  "second_full",
  "run_open",
  "never_completed",
  "attempt_gone",
  "job_not_loaded",
  "log_pending",
  "log_failed",
  "log_without_record",
  "not_sealed",
  "list_incomplete",
  "object_unusable",
]);
export type GapKind = z.output<typeof GapKind>;
