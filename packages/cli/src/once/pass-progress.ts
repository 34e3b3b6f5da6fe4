// Distinguishes progress of a pass from mere changes of state: a log that is deferred repeatedly is no progress.

import type { WorkCounts } from "@actions-archive/database/ledger/summary";

export class PassProgress {
  #jobs = -1;
  #decided = -1;
  #loaded = -1;
  #pendingWork = Infinity;

  /**
   * Whether this pass has progressed: more jobs known, more logs archived, absent or failed, or more rows loaded than ever
   * before. Pending listings and run records must fall below their minimum since then.
   */
  advance(counts: WorkCounts): boolean {
    const {
      jobs,
      archived,
      absent,
      failed,
      unloadedJobs,
      unrecordedAttempts,
      laggingAttempts,
      incompleteWindows,
      openBackfills,
    } = counts;
    const decided = archived + absent + failed;
    const loaded = jobs - unloadedJobs;
    const pendingWork = unrecordedAttempts + laggingAttempts + incompleteWindows + openBackfills;
    const isMore = jobs > this.#jobs || decided > this.#decided || loaded > this.#loaded;
    const isLessPending = pendingWork < this.#pendingWork;
    this.#jobs = Math.max(this.#jobs, jobs);
    this.#decided = Math.max(this.#decided, decided);
    this.#loaded = Math.max(this.#loaded, loaded);
    this.#pendingWork = isMore ? pendingWork : Math.min(this.#pendingWork, pendingWork);
    return isMore || isLessPending;
  }
}
