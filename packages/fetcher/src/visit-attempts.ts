// Visits of many attempts of one repository, a few at once.

import type { LedgerAttempt } from "@actions-archive/database/attempts";

import type { Fetcher } from "./fetcher.ts";
import type { ListedRepository } from "./list-window.ts";
import { type Shown, visitAttempt } from "./visit-attempt.ts";

/** GitHub's own secondary limits allow 100 requests at once: one repository leaves room for the others, and for the logs. */
const visitsAtOnce = 4;

export type VisitsOptions = {
  readonly signal: AbortSignal;
  /** Ends the visits early, without an error; those that run are finished. */
  readonly over?: AbortSignal | undefined;
  /** What the list has just shown, as `visitAttempt` takes it. */
  readonly shown?: Shown | undefined;
  /** Called whenever something new may stand in the ledger. */
  readonly onProgress?: (() => Promise<void>) | undefined;
};

/**
 * Visits the attempts in their order until all are visited, one fails, or it is `over`; resolves or rejects when none runs any
 * more. However soon it is over, something is visited: looks that follow each other come to an end.
 * @throws what `visitAttempt` throws.
 */
export async function visitAttempts(
  fetcher: Fetcher,
  repository: ListedRepository,
  attempts: readonly LedgerAttempt[],
  { signal, over, shown, onProgress }: VisitsOptions,
): Promise<void> {
  const rest = attempts.values();
  let isFailing = false;
  const lane = async () => {
    for (const attempt of rest) {
      if (isFailing) return;
      try {
        signal.throwIfAborted();
        await visitAttempt(fetcher, repository, attempt, { signal, shown });
        await onProgress?.();
        if (over?.aborted) return;
      } catch (error) {
        isFailing = true;
        throw error;
      }
    }
  };
  const lanes = await Promise.allSettled(Array.from({ length: visitsAtOnce }, lane));
  for (const ended of lanes) if (ended.status === "rejected") throw ended.reason;
}
