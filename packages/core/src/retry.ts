// In-call retries: seconds, same process, same attempt. Minutes and other processes are BullMQ's.

import pRetry from "p-retry";

import { TransientError } from "./errors.ts";

/**
 * Calls `fn` until it resolves, at most `1 + retries` times (2 retries unless told), waiting longer each time with jitter.
 * Only a TransientError is tried again; everything else, and the last TransientError, is thrown as it is.
 * `fn` gets the attempt, from 1. Ends at once when `signal` aborts.
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
