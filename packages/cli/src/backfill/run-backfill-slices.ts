// Runs due backfill slices in this process, without polls. For `backfill --wait` without a running fetcher, and for `start
// --once`.

import { ActionsArchiveError } from "@actions-archive/core/errors";
import { type BackfillRef, listDueBackfills } from "@actions-archive/database/backfill/backfills";
import { backfillRepository } from "@actions-archive/fetcher/backfill/backfill-repository";
import type { Fetcher } from "@actions-archive/fetcher/fetcher";
import { backfillsAtOnce } from "@actions-archive/fetcher/start-fetcher";

export type BackfillRunner = AsyncDisposable & {
  /** Starts due slices up to the concurrency limit. @throws the unexpected error of an earlier slice. */
  readonly turn: () => Promise<void>;
};

/** Disposing, or `stopping`, aborts running slices; their progress is kept. */
export function openBackfillRunner(fetcher: Fetcher, stopping: AbortSignal, recordProgress?: () => void): BackfillRunner {
  const closing = new AbortController();
  const signal = AbortSignal.any([stopping, closing.signal]);
  const running = new Map<string, Promise<void>>();
  let unexpectedError: Error | undefined;
  const slice = async (ref: BackfillRef) => {
    try {
      await backfillRepository(fetcher, ref, { signal, onProgress: async () => recordProgress?.() });
    } catch (error) {
      // The project's own errors are recorded, and the slice is due again.
      if (!(error instanceof ActionsArchiveError) && !signal.aborted)
        unexpectedError ??= new Error("a slice of a backfill failed", { cause: error });
    }
  };
  return {
    async turn() {
      if (unexpectedError !== undefined) throw unexpectedError;
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
