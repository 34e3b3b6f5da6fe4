// Handles an error of archiving a log: some errors fail the log, some only defer it. After the queue's last attempt, the log is
// left in a state that operators see and the feeder retries.

import { errorMessage } from "@actions-archive/core/error-message";
import { PermanentError, RateLimitedError, TransientError } from "@actions-archive/core/errors";
import type { Delivery } from "@actions-archive/core/queue";
import type { FailedReason } from "@actions-archive/core/states";
import type { LogJob } from "@actions-archive/database/ledger/log-jobs";
import { deferLog, failLog } from "@actions-archive/database/ledger/log-states";

import type { LogWorker } from "./log-worker.ts";

/**
 * Postgres, Redis or the store was unavailable for all attempts of the queue. The log is retried soon and its state is unchanged.
 */
const engineRetrySeconds = 60;
const spoolRetrySeconds = 10;
const unauthorizedRetrySeconds = 5 * 60;
const clockSkewRetrySeconds = 5 * 60;

type FailureAction =
  | { readonly kind: "failed"; readonly reason: FailedReason }
  | { readonly kind: "later"; readonly seconds: number }
  | { readonly kind: "rethrow" };

/**
 * Fails or defers the log, as the error requires.
 * @throws `error` itself when the queue is to retry.
 */
export async function handleFailure(
  { db, log, metrics }: LogWorker,
  job: LogJob,
  error: unknown,
  delivery: Pick<Delivery, "isLastAttempt" | "signal">,
): Promise<void> {
  const action = classifyFailure(error, delivery);
  const detail = errorMessage(error);
  const context = { repository: job.full_name, runId: job.run_id, jobId: job.job_id };
  switch (action.kind) {
    case "rethrow":
      throw error;
    case "later":
      log.warn({ ...context, err: error, seconds: action.seconds }, "log delayed");
      return deferLog(db, job.job_id, action.seconds, detail);
    case "failed":
      log.error({ ...context, err: error, reason: action.reason }, "log failed");
      metrics?.logs.inc({ state: "failed", reason: action.reason });
      return failLog(db, job.job_id, action.reason, detail);
  }
}

/** @returns whether the log fails, is deferred, or the error is rethrown so that the queue retries. */
export function classifyFailure(
  error: unknown,
  { isLastAttempt, signal }: Pick<Delivery, "isLastAttempt" | "signal">,
): FailureAction {
  if (error instanceof RateLimitedError || signal.aborted) return { kind: "rethrow" };
  if (error instanceof PermanentError) return classifyPermanentFailure(error);
  if (error instanceof TransientError && error.code === "spool/full") return { kind: "later", seconds: spoolRetrySeconds };
  // Without a trusted Date the age of a missing log is unknown: nothing is decided until the clocks agree.
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
