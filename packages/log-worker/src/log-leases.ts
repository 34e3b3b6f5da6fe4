// Leases of the logs that this process works on, held in the ledger. A worker that gets the same job from a queue that lost its
// state sees a valid lease; an expired lease means that the holder crashed.

import { randomUUID } from "node:crypto";

import { RateLimitedError } from "@actions-archive/core/errors";
import type { Logger } from "@actions-archive/core/logger";
import type { Database } from "@actions-archive/database/connection/open-database";
import { releaseLogLease, renewLogLeases, acquireLogLease } from "@actions-archive/database/ledger/log-leases";

/** Four renewals may fail before a lease expires. */
const renewEveryMs = 5_000;
/** The retry delay when this process itself holds the lease, which is renewed while the process lives. */
const ownRetryMs = 5_000;

export class LogLeases implements AsyncDisposable {
  readonly #db: Database;
  readonly #log: Logger;
  /** The process's id in the ledger. */
  readonly #worker = randomUUID();
  readonly #held = new Set<number>();
  /** Logs whose lease may still be in the ledger although their work has ended: the database was unavailable. */
  readonly #unreleased = new Set<number>();
  readonly #timer: NodeJS.Timeout;
  #renewal: Promise<void> = Promise.resolve();

  constructor({ db, log }: { readonly db: Database; readonly log: Logger }) {
    this.#db = db;
    this.#log = log;
    this.#timer = setInterval(() => {
      this.#renewal = this.#renewal.then(() => this.#renew());
    }, renewEveryMs);
  }

  /**
   * Runs `work` under the log's lease, with the number of workers that crashed on the log.
   * @throws RateLimitedError when another worker holds the lease: the queue redelivers the job at `retryAt` and counts no
   * attempt.
   */
  async take<T>(
    { jobId, isAlone }: { readonly jobId: number; readonly isAlone: boolean },
    work: (crashes: number) => Promise<T>,
  ): Promise<T> {
    if (this.#held.has(jobId)) throw heldError(jobId, ownRetryMs);
    this.#held.add(jobId);
    try {
      const crashes = await this.#acquireLogLease(jobId, isAlone);
      try {
        return await work(crashes);
      } finally {
        await this.#releaseLogLease(jobId);
      }
    } finally {
      this.#held.delete(jobId);
    }
  }

  async #acquireLogLease(jobId: number, isAlone: boolean): Promise<number> {
    // A delayed release must not remove the new lease.
    await this.#renewal;
    this.#unreleased.delete(jobId);
    let lease;
    try {
      lease = await acquireLogLease(this.#db, { jobId, worker: this.#worker, isAlone });
    } catch (error) {
      // Whether the lease was written before the connection was lost is unknown.
      this.#unreleased.add(jobId);
      throw error;
    }
    if ("heldForMs" in lease) throw heldError(jobId, lease.heldForMs);
    return lease.crashes;
  }

  // A failed release does not undo the work; it is retried later.
  async #releaseLogLease(jobId: number): Promise<void> {
    try {
      await releaseLogLease(this.#db, { jobId, worker: this.#worker });
    } catch (error) {
      this.#unreleased.add(jobId);
      this.#log.warn({ err: error, jobId }, "log lease not released");
    }
  }

  async #renew(): Promise<void> {
    try {
      const jobIds = [...this.#held];
      if (jobIds.length > 0) await renewLogLeases(this.#db, { jobIds, worker: this.#worker });
      for (const jobId of this.#unreleased) {
        if (!this.#held.has(jobId)) await releaseLogLease(this.#db, { jobId, worker: this.#worker });
        this.#unreleased.delete(jobId);
      }
    } catch (error) {
      this.#log.warn({ err: error }, "log leases not renewed");
    }
  }

  /** Does not wait for work in progress, which has ended or was abandoned. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.#renewal;
    if (this.#unreleased.size > 0) await this.#renew();
  }
}

function heldError(jobId: number, forMs: number): RateLimitedError {
  const retryAt = new Date(Date.now() + Math.max(forMs, 100));
  return new RateLimitedError(`another worker holds the lease on the log of job ${jobId}; the job is redelivered later`, retryAt);
}
