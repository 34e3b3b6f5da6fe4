// Reports sessions that block the archive's programs in the database, since a lock's holder is shown nowhere else.

import { listBlockers } from "@actions-archive/database/connection/locks";

import type { Loader } from "../loader.ts";

/** Excludes the pipeline's own locks, which last milliseconds. */
const idleTimeoutSeconds = 5;
const againSeconds = 60;

/**
 * Creates a turn of a timer that warns of each session that has blocked a program of this archive for 5 seconds, and again each minute.
 * It changes nothing, and ends no session.
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
      // A pid that has waited for less than before waits for another lock.
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
