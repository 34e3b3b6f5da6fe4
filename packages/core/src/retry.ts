// Retries a call for seconds, within one attempt of a job. BullMQ retries for minutes and in other processes.

import pRetry from "p-retry";

import { TransientError } from "./errors.ts";

/**
 * Calls `fn` until it resolves, at most `1 + retries` times (default: 2 retries), with exponential backoff and jitter. Only a
 * TransientError is retried; any other error, and the last TransientError, is thrown unchanged. `fn` receives the attempt, from 1.
 * Ends immediately when `signal` aborts.
 */
export async function retry<T>(
  fn: (attempt: number) => Promise<T>,
  options: { signal?: AbortSignal | undefined; retries?: number; minTimeoutMs?: number } = {},
): Promise<T> {
  return pRetry(fn, {
    retries: options.retries ?? 2,
    minTimeout: options.minTimeoutMs ?? 200,
    maxTimeout: 10_000,
    randomize: true,
    shouldRetry: ({ error }) => error instanceof TransientError,
    ...(options.signal ? { signal: options.signal } : {}),
  });
}
