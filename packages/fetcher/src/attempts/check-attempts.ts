// Checks the attempts of one repository, a few concurrently. An error about one run affects only that run.

import type { LedgerAttempt } from "@actions-archive/database/ledger/attempts";

import type { Fetcher } from "../fetcher.ts";
import type { ListedRepository } from "../runs/record-page.ts";
import { checkAttempt, type CheckOptions } from "./check-attempt.ts";

/** GitHub's secondary limit is 100 concurrent requests. This leaves capacity for other repositories and for log downloads. */
const maxChecksAtOnce = 4;
/** After this many consecutive refusals the cause is not a single run: the repository is polled again later instead. */
const maxRefusals = 5;

export type ChecksOptions = CheckOptions & {
  /** Ends the checks early without an error; checks in progress are finished. */
  readonly over?: AbortSignal | undefined;
  /** Called whenever the ledger may have changed. */
  readonly onProgress?: (() => Promise<void>) | undefined;
};

/**
 * Checks the attempts in order until all are checked, one fails, or `over` aborts. Settles once no check is in progress. At least
 * one attempt is checked even when `over` has already aborted, so that consecutive polls make progress.
 * @throws what `checkAttempt` throws; the last refusal after several consecutive ones.
 */
export async function checkAttempts(
  fetcher: Fetcher,
  repository: ListedRepository,
  attempts: readonly LedgerAttempt[],
  { signal, over, onProgress, shownOpen }: ChecksOptions,
): Promise<void> {
  const rest = attempts.values();
  let isFailing = false;
  let refusals = 0;
  const lane = async () => {
    for (const attempt of rest) {
      if (isFailing) return;
      try {
        signal.throwIfAborted();
        const refusal = await checkAttempt(fetcher, repository, attempt, { signal, shownOpen });
        refusals = refusal === undefined ? 0 : refusals + 1;
        if (refusal !== undefined && refusals >= maxRefusals) throw refusal;
        await onProgress?.();
        if (over?.aborted) return;
      } catch (error) {
        isFailing = true;
        throw error;
      }
    }
  };
  const lanes = await Promise.allSettled(Array.from({ length: maxChecksAtOnce }, lane));
  for (const ended of lanes) if (ended.status === "rejected") throw ended.reason;
}
