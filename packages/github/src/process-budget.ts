// A budget that lives in this process: for tests and for programs that are alone on their credential. The workers share the
// one in `database`.
import type { Budget, RateLimitReading } from "@actions-archive/core/budget";
import { RateLimitedError } from "@actions-archive/core/errors";

/** Remembers pauses, and pauses a credential by itself when GitHub says that nothing remains. Times are this machine's. */
export function createProcessBudget(): Budget {
  const pauses = new Map<string, { until: Date; reason: string }>();

  const pause = async (credential: string, until: Date, reason: string) => {
    const current = pauses.get(credential);
    if (current === undefined || current.until < until) pauses.set(credential, { until, reason });
  };

  return {
    async acquire(credential) {
      const current = pauses.get(credential);
      if (current === undefined) return;
      if (current.until.getTime() > Date.now()) {
        throw new RateLimitedError(
          `The credential ${credential} pauses until ${current.until.toISOString()}: ${current.reason}`,
          current.until,
        );
      }
      pauses.delete(credential);
    },
    async observe(credential: string, reading: RateLimitReading) {
      if (reading.remaining <= 0) await pause(credential, reading.resetAt, "the primary rate limit is used up");
    },
    pause,
  };
}
