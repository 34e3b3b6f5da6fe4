// Applies retention: the policies decide which logs to remove, and objects with a sealed tombstone are removed from the store,
// including erased ones. Both are bounded turns of a timer, safe to run concurrently and to repeat after a crash.

import type { RemoveOutcome, Store } from "@actions-archive/archive/store/store";
import { errorMessage } from "@actions-archive/core/error-message";
import { PermanentError } from "@actions-archive/core/errors";
import { type DueRemoval, listDueRemovals, recordFailedRemoval, removeOnce } from "@actions-archive/database/retention/removals";
import { walkPolicies, type WalkLimits } from "@actions-archive/database/retention/retention-walk";

import type { Loader } from "../loader.ts";

/** Each holds a connection of the pool while the store answers. */
const removedAtOnce = 4;
/** Some seconds of requests to the store. */
const maxRemoved = 400;

const page: WalkLimits = { maxChecked: 10_000, maxDecided: 200 };
const maxDecided = 1_000;
/** 50,000 jobs per turn take Postgres some seconds. */
const maxPages = 5;

/**
 * Decides which logs the policies in force remove now: their rows become `removed`, and their tombstones wait for a seal. One bounded
 * turn of a rolling walk. Idempotent.
 * @returns the number of decided logs.
 */
export async function applyPolicies({ db, log }: Pick<Loader, "db" | "log">): Promise<number> {
  let decided = 0;
  for (let pages = 0; pages < maxPages && decided < maxDecided; pages += 1) {
    const walked = await walkPolicies(db, page);
    if (walked === undefined) break;
    decided += walked.decided;
    if (walked.decided > 0)
      log.info({ repository: walked.repository, policy: walked.policy, logs: walked.decided }, "logs expired");
  }
  return decided;
}

/**
 * Removes objects whose tombstone a published seal contains, unless their jobs are held or the store retains them. An object that
 * cannot be removed is deferred, and ends the turn, since the others would fail, too. Idempotent.
 * @returns the number of removed objects.
 */
export async function removeTombstoned(loader: Loader): Promise<number> {
  const keys = await listDueRemovals(loader.db, maxRemoved);
  let removed = 0;
  for (let at = 0; at < keys.length; at += removedAtOnce) {
    const outcomes = await Promise.all(keys.slice(at, at + removedAtOnce).map((key) => removeLog(loader, key)));
    removed += outcomes.filter((outcome) => outcome === "gone").length;
    if (outcomes.includes("failed")) break;
  }
  return removed;
}

async function removeLog({ db, store, log }: Loader, key: string): Promise<"gone" | "stays" | "failed"> {
  try {
    const done = await removeOnce(db, key, (removal) => removeVersions(store, removal));
    if (done === undefined) return "stays";
    const { job_id: jobId, repository_id: repositoryId, cause, outcome } = done;
    const about = { repositoryId, jobId, objectKey: key, cause };
    if (outcome.kind === "retained") {
      log.info({ ...about, retainedUntil: outcome.until ?? null }, "log retained");
      return "stays";
    }
    log.info({ ...about, wasThere: outcome.kind === "removed" }, "log removed");
    return "gone";
  } catch (error) {
    await recordFailedRemoval(db, key, { problem: errorMessage(error), minutes: error instanceof PermanentError ? 60 : 10 });
    log.error({ err: error, objectKey: key }, "log not removed");
    return "failed";
  }
}

// Removes the sealed version, then whatever is found under the key: a worker that had the log in flight may have stored it again.
async function removeVersions(store: Store, { object_key, version_id }: DueRemoval): Promise<RemoveOutcome> {
  const sealed = await store.remove(object_key, version_id ?? undefined);
  if (sealed.kind === "retained" || !store.capabilities?.versioned) return sealed;
  for (;;) {
    const next = await store.remove(object_key);
    if (next.kind === "absent") return sealed;
    if (next.kind === "retained") return next;
  }
}
