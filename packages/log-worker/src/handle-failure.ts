// What becomes of a job whose archiving threw. Some errors are the log's fate, some only mean later, and the last try of the
// queue must leave a state that operators see and the feeder tries again.

import { errorMessage } from "@actions-archive/core/error-message";
import { PermanentError, RateLimitedError, TransientError } from "@actions-archive/core/errors";
import type { Delivery } from "@actions-archive/core/queue";
import type { FailedReason } from "@actions-archive/core/states";
import type { LogJob } from "@actions-archive/database/ledger/log-jobs";
import { deferLog, failLog } from "@actions-archive/database/ledger/log-states";

import type { LogWorker } from "./log-worker.ts";

/** Our own engines were away for all tries of the queue: the log's turn comes again soon, nothing is said of the log. */
const engineRetrySeconds = 60;
const spoolRetrySeconds = 10;
const unauthorizedRetrySeconds = 5 * 60;
const clockSkewRetrySeconds = 5 * 60;

type FailureAction =
  | { readonly kind: "failed"; readonly reason: FailedReason }
  | { readonly kind: "later"; readonly seconds: number }
  | { readonly kind: "rethrow" };

/** @throws `error` itself while the queue is to try again. */
export async function handleFailure(
  { db, log }: LogWorker,
  job: LogJob,
  error: unknown,
  delivery: Pick<Delivery, "isLastAttempt" | "signal">,
): Promise<void> {
  const fate = classifyFailure(error, delivery);
  const detail = errorMessage(error);
  const context = { repository: job.full_name, runId: job.run_id, jobId: job.job_id };
  switch (fate.kind) {
    case "rethrow":
      throw error;
    case "later":
      log.warn({ ...context, err: error, seconds: fate.seconds }, "log delayed");
      return deferLog(db, job.job_id, fate.seconds, detail);
    case "failed":
      log.error({ ...context, err: error, reason: fate.reason }, "log failed");
      return failLog(db, job.job_id, fate.reason, detail);
  }
}

/** @returns what is to be written down, or that the queue tries again or waits. */
export function classifyFailure(
  error: unknown,
  { isLastAttempt, signal }: Pick<Delivery, "isLastAttempt" | "signal">,
): FailureAction {
  if (error instanceof RateLimitedError || signal.aborted) return { kind: "rethrow" };
  if (error instanceof PermanentError) return classifyPermanentFailure(error);
  if (error instanceof TransientError && error.code === "spool/full") return { kind: "later", seconds: spoolRetrySeconds };
  // Without a date that can be trusted an absence is of unknown age: nothing is decided until the clocks agree.
  if (error instanceof TransientError && error.code === "github/clock-skew")
    return { kind: "later", seconds: clockSkewRetrySeconds };
  if (!isLastAttempt) return { kind: "rethrow" };
  const code = error instanceof TransientError ? error.code : undefined;
  if (code === "log/incomplete") return { kind: "failed", reason: "incomplete" };
  if (code?.startsWith("github/") || code?.startsWith("log/")) return { kind: "failed", reason: "upstream_error" };
  return { kind: "later", seconds: engineRetrySeconds };
}

function classifyPermanentFailure({ code }: PermanentError): FailureAction {
  const reasons: Partial<Record<PermanentError["code"], FailedReason>> = {
    "github/forbidden": "forbidden",
    "github/not-found": "no_access",
    "github/gone": "upstream_error",
    "github/unexpected-answer": "upstream_error",
    "log/redirect-refused": "redirect_refused",
    "log/too-large": "too_large",
  };
  const reason = reasons[code];
  if (reason !== undefined) return { kind: "failed", reason };
  return { kind: "later", seconds: code === "github/unauthorized" ? unauthorizedRetrySeconds : engineRetrySeconds };
}
