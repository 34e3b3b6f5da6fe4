// The queues hold nothing that the ledger does not owe, but what stands in them can keep it from being done.

import type { Producer } from "@actions-archive/core/queue";
import { readClock } from "@actions-archive/database/connection/clock";

import type { Fetcher } from "../fetcher.ts";

type Queue = Pick<Producer<"archive">, "prune">;

/** Tidies these queues; what the ledger owes is fed again afterwards. Idempotent; any process may call it at any time. */
export async function pruneQueues(
  { db, log }: Pick<Fetcher, "db" | "log">,
  queues: Readonly<Record<string, Queue>>,
): Promise<void> {
  const now = await readClock(db);
  for (const [queue, producer] of Object.entries(queues)) {
    const { wasPaused, removed } = await producer.prune(now);
    if (wasPaused) log.warn({ queue }, "queue was paused, and goes on");
    // Also what waits for the end of a limit: it is fed again then.
    if (removed > 0) log.info({ queue, entries: removed }, "entries that would not run soon removed");
  }
}
