// Backfills carried out by this process: the clock's part of a fetcher, without its polls. For `backfill --wait` where no fetcher
// runs, and for `start --once`.

import { ActionsArchiveError } from "@actions-archive/core/errors";
import { type BackfillRef, listDueBackfills } from "@actions-archive/database/backfill/backfills";
import { backfillRepository } from "@actions-archive/fetcher/backfill/backfill-repository";
import type { Fetcher } from "@actions-archive/fetcher/fetcher";
import { backfillsAtOnce } from "@actions-archive/fetcher/start-fetcher";

export type BackfillRunner = AsyncDisposable & {
  /** Begins slices of what is due, as far as there is room. @throws what a slice threw that no ledger explains. */
  readonly turn: () => Promise<void>;
};

/** Disposing, or `stopping`, ends the slices that run: what they have done stays done. */
export function openBackfillRunner(fetcher: Fetcher, stopping: AbortSignal, recordProgress?: () => void): BackfillRunner {
  const closing = new AbortController();
  const signal = AbortSignal.any([stopping, closing.signal]);
  const running = new Map<string, Promise<void>>();
  let crash: Error | undefined;
  const slice = async (ref: BackfillRef) => {
    try {
      await backfillRepository(fetcher, ref, { signal, onProgress: async () => recordProgress?.() });
    } catch (error) {
      // Ours are written down, and due again by themselves.
      if (!(error instanceof ActionsArchiveError) && !signal.aborted)
        crash ??= new Error("a slice of a backfill failed", { cause: error });
    }
  };
  return {
    async turn() {
      if (crash !== undefined) throw crash;
      for (const ref of await listDueBackfills(fetcher.db, backfillsAtOnce)) {
        const key = `${ref.backfill_id}/${ref.repository_id}`;
        if (running.has(key)) continue;
        running.set(
          key,
          slice(ref).finally(() => running.delete(key)),
        );
      }
    },
    async [Symbol.asyncDispose]() {
      closing.abort(new DOMException("the command ends", "AbortError"));
      await Promise.all(running.values());
    },
  };
}
