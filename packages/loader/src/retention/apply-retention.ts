// How archived logs go: the policies decide which, and what a published seal says goes, is removed from the store. The same for what
// an operator erases. Both are turns of a timer: bounded, and safe to repeat, at once, and after a crash at any instant.

import type { RemoveOutcome, Store } from "@actions-archive/archive/store/store";
import { errorMessage } from "@actions-archive/core/error-message";
import { PermanentError } from "@actions-archive/core/errors";
import { type DueRemoval, listDueRemovals, recordFailedRemoval, removeOnce } from "@actions-archive/database/retention/removals";
import { walkPolicies, type WalkLimits } from "@actions-archive/database/retention/retention-walk";

import type { Loader } from "../loader.ts";

/** Each holds a connection of the pool while the store answers. */
const removedAtOnce = 4;
/** Some seconds of a store's answers. */
const maxRemoved = 400;

const page: WalkLimits = { maxChecked: 10_000, maxDecided: 200 };
const maxDecided = 1_000;
/** 50,000 jobs a turn are some seconds of Postgres' work. */
const maxPages = 5;

/**
 * Decides which logs the policies in force remove now: their rows say `removed` from here on, and their tombstones wait for a seal. A
 * bounded turn of a rolling walk. Idempotent.
 * @returns how many logs were decided.
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
 * Removes the objects of tombstones that a published seal carries, unless their jobs are held or the store retains them. One that
 * cannot be removed is put off, and ends the turn: what failed it, fails the others, too. Idempotent.
 * @returns how many objects are gone.
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

// The sealed version, then whatever is seen under the key after it: a worker that had the log in flight may have stored it again.
async function removeVersions(store: Store, { object_key, version_id }: DueRemoval): Promise<RemoveOutcome> {
  const sealed = await store.remove(object_key, version_id ?? undefined);
  if (sealed.kind === "retained" || !store.capabilities?.versioned) return sealed;
  for (;;) {
    const next = await store.remove(object_key);
    if (next.kind === "absent") return sealed;
    if (next.kind === "retained") return next;
  }
}
