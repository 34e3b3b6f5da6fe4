// Distinguishes progress of a pass from states that only change: a log that is deferred again and again makes none.

import type { WorkCounts } from "@actions-archive/database/ledger/summary";

export class PassProgress {
  #jobs = -1;
  #decided = -1;
  #loaded = -1;
  #owed = Infinity;

  /**
   * Whether more is done than ever before in this pass: more jobs known, more logs archived, absent or failed, more rows loaded. What is
   * owed of listings and run records must fall below its lowest since the last of these.
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
    const owed = unrecordedAttempts + laggingAttempts + incompleteWindows + openBackfills;
    const isMore = jobs > this.#jobs || decided > this.#decided || loaded > this.#loaded;
    const isLessOwed = owed < this.#owed;
    this.#jobs = Math.max(this.#jobs, jobs);
    this.#decided = Math.max(this.#decided, decided);
    this.#loaded = Math.max(this.#loaded, loaded);
    this.#owed = isMore ? owed : Math.min(this.#owed, owed);
    return isMore || isLessOwed;
  }
}
