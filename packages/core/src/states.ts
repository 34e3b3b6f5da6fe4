// The states of a log, the reasons for them, and the flags of doubt: in one place; docs/states.md has the rules.

import { z } from "zod";

export const LogState = z.enum(["pending", "archived", "absent", "failed"]);
export type LogState = z.output<typeof LogState>;

/** Why there is no log, checked. */
export const AbsentReason = z.enum(["not_run", "not_a_job", "copied", "expired", "deleted", "empty", "removed"]);
export type AbsentReason = z.output<typeof AbsentReason>;

/** Why a log could not be had; listed, and tried again. */
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

/** Doubts about an archived log: it is stored and flagged, never refused. */
export const LogFlag = z.enum([
  "outside_job_window",
  "no_end_marker",
  "no_timestamps",
  "changed_since",
  "same_as_other_job",
  "adopted",
]);
export type LogFlag = z.output<typeof LogFlag>;

/** What the ledger owes or has lost, as `audit.gaps` names it. */
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
