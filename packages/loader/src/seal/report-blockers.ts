// Says who holds the archive's programs up in the database: a session that keeps a lock is seen nowhere else.

import { listBlockers } from "@actions-archive/database/connection/locks";

import type { Loader } from "../loader.ts";

/** Locks of the pipeline's own last milliseconds. */
const idleTimeoutSeconds = 5;
const againSeconds = 60;

/**
 * Makes a turn of a timer that warns of each session for which a program of this archive has waited 5 seconds, and again each minute for
 * as long as it does. It changes nothing, and ends no session.
 */
export function makeBlockerReport({ db, log }: Pick<Loader, "db" | "log">): () => Promise<void> {
  let reported = new Map<string, number>();
  return async () => {
    const waits = new Map<string, number>();
    for (const { seconds, blocked_pid, blocked_application, pid, role, application } of await listBlockers(
      db,
      idleTimeoutSeconds,
    )) {
      const key = `${blocked_pid}/${pid}`;
      const before = reported.get(key);
      // A pid that waits for less than before waits for something new.
      const isDue = before === undefined || seconds < before || seconds >= before + againSeconds;
      waits.set(key, isDue ? seconds : before);
      if (isDue)
        log.warn(
          {
            waitedSeconds: seconds,
            blocked: blocked_application,
            blockingPid: pid,
            blockingRole: role,
            blockingApplication: application,
          },
          "database work blocked",
        );
    }
    reported = waits;
  };
}
