// Prunes entries that block a queue. The ledger can restore all of them.

import type { Producer } from "@actions-archive/core/queue";
import { readClock } from "@actions-archive/database/connection/clock";

import type { Fetcher } from "../fetcher.ts";

type Queue = Pick<Producer<"archive">, "prune">;

/** Prunes these queues; the feeder enqueues again what the ledger still owes. Idempotent; any process may call it at any time. */
export async function pruneQueues(
  { db, log }: Pick<Fetcher, "db" | "log">,
  queues: Readonly<Record<string, Queue>>,
): Promise<void> {
  const now = await readClock(db);
  for (const [queue, producer] of Object.entries(queues)) {
    const { wasPaused, removed } = await producer.prune(now);
    if (wasPaused) log.warn({ queue }, "queue resumed");
    // Entries delayed until a rate limit resets are removed, too, and enqueued again then.
    if (removed > 0) log.info({ queue, entries: removed }, "delayed queue entries removed");
  }
}
