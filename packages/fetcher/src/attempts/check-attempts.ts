// Checks many attempts of one repository, a few at once. An answer that GitHub refuses about one run costs that run's turn alone.

import type { LedgerAttempt } from "@actions-archive/database/ledger/attempts";

import type { Fetcher } from "../fetcher.ts";
import type { ListedRepository } from "../runs/record-page.ts";
import { checkAttempt, type CheckOptions } from "./check-attempt.ts";

/** GitHub's own secondary limits allow 100 requests at once: one repository leaves room for the others, and for the logs. */
const maxChecksAtOnce = 4;
/** After so many refusals in a row it is no matter of one run: the repository is polled again later, instead of all its runs. */
const maxRefusals = 5;

export type ChecksOptions = CheckOptions & {
  /** Ends the checks early, without an error; those that run are finished. */
  readonly over?: AbortSignal | undefined;
  /** Called whenever something new may stand in the ledger. */
  readonly onProgress?: (() => Promise<void>) | undefined;
};

/**
 * Checks the attempts in their order until all are checked, one fails, or it is `over`; resolves or rejects when none runs any
 * more. However soon it is over, something is checked: polls that follow each other come to an end.
 * @throws what `checkAttempt` throws; the last refusal when GitHub refuses several attempts in a row.
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
