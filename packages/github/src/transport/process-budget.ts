// An in-memory budget for tests and for programs that use their credential exclusively. The workers share the budget in `database`.

import type { Budget, RateLimitReading } from "@actions-archive/core/budget";
import { RateLimitedError } from "@actions-archive/core/errors";

/**
 * Stores pauses, and pauses a credential when GitHub reports that nothing remains. Times are this machine's.
 * @param options `now`: the clock with which GitHub's dates are compared; this machine's by default.
 */
export function createProcessBudget({ now = () => new Date() }: { readonly now?: () => Date } = {}): Budget {
  const pauses = new Map<string, { until: Date; reason: string }>();

  const pauseFor = (credential: string, waitMs: number, reason: string): Date => {
    const until = new Date(Date.now() + waitMs);
    const current = pauses.get(credential);
    if (current !== undefined && current.until >= until) return current.until;
    pauses.set(credential, { until, reason });
    return until;
  };
  const observe = (credential: string, { limit, used, resetInMs }: RateLimitReading) => {
    if (used >= limit) pauseFor(credential, resetInMs, "the primary rate limit is used up");
  };

  return {
    clock: { now, read: async () => now(), recordSkew: async () => undefined },
    async acquire(credential, signal) {
      signal?.throwIfAborted();
      const current = pauses.get(credential);
      if (current !== undefined && current.until.getTime() > Date.now()) {
        throw new RateLimitedError(
          `The credential ${credential} pauses until ${current.until.toISOString()}: ${current.reason}`,
          current.until,
        );
      }
      pauses.delete(credential);
      return { end: ({ reading }) => reading && observe(credential, reading) };
    },
    pause: async (credential, { waitMs, reason }) => pauseFor(credential, waitMs, reason),
  };
}
