// The logs that this process has in hand, each under a lease in the ledger: who gets the same work from a queue that lost its
// memory sees that the worker lives, and who finds a lease that has run out knows that it died.

import { randomUUID } from "node:crypto";

import { RateLimitedError } from "@actions-archive/core/errors";
import type { Logger } from "@actions-archive/core/logger";
import type { Database } from "@actions-archive/database/connection/open-database";
import { releaseLogLease, renewLogLeases, acquireLogLease } from "@actions-archive/database/ledger/log-leases";

/** Four of them may fail before a lease runs out. */
const renewEveryMs = 5_000;
/** How soon again when it is this process that has the log, whose lease has no end while it lives. */
const ownRetryMs = 5_000;

export class LogLeases implements AsyncDisposable {
  readonly #db: Database;
  readonly #log: Logger;
  /** What the ledger knows the process by. */
  readonly #worker = randomUUID();
  readonly #inHand = new Set<number>();
  /** Logs whose mark may still stand although nobody works on them: the database was away. */
  readonly #stranded = new Set<number>();
  readonly #timer: NodeJS.Timeout;
  #turn: Promise<void> = Promise.resolve();

  constructor({ db, log }: { readonly db: Database; readonly log: Logger }) {
    this.#db = db;
    this.#log = log;
    this.#timer = setInterval(() => {
      this.#turn = this.#turn.then(() => this.#renew());
    }, renewEveryMs);
  }

  /**
   * Does `work`, which is told how many workers died of the log, while nobody else works on it.
   * @throws RateLimitedError when somebody does: the queue is to deliver it again then, and no try is spent.
   */
  async take<T>(
    { jobId, isAlone }: { readonly jobId: number; readonly isAlone: boolean },
    work: (deaths: number) => Promise<T>,
  ): Promise<T> {
    if (this.#inHand.has(jobId)) throw heldError(jobId, ownRetryMs);
    this.#inHand.add(jobId);
    try {
      const deaths = await this.#acquireLogLease(jobId, isAlone);
      try {
        return await work(deaths);
      } finally {
        await this.#releaseLogLease(jobId);
      }
    } finally {
      this.#inHand.delete(jobId);
    }
  }

  async #acquireLogLease(jobId: number, isAlone: boolean): Promise<number> {
    // A late landing must not take the new mark away.
    await this.#turn;
    this.#stranded.delete(jobId);
    let taken;
    try {
      taken = await acquireLogLease(this.#db, { jobId, worker: this.#worker, isAlone });
    } catch (error) {
      // Whether the mark was made before the connection was lost, nobody knows.
      this.#stranded.add(jobId);
      throw error;
    }
    if ("heldForMs" in taken) throw heldError(jobId, taken.heldForMs);
    return taken.deaths;
  }

  // What was done is done, whether the ledger hears of it at once or later.
  async #releaseLogLease(jobId: number): Promise<void> {
    try {
      await releaseLogLease(this.#db, { jobId, worker: this.#worker });
    } catch (error) {
      this.#stranded.add(jobId);
      this.#log.warn({ err: error, jobId }, "log not given back yet");
    }
  }

  async #renew(): Promise<void> {
    try {
      const jobIds = [...this.#inHand];
      if (jobIds.length > 0) await renewLogLeases(this.#db, { jobIds, worker: this.#worker });
      for (const jobId of this.#stranded) {
        if (!this.#inHand.has(jobId)) await releaseLogLease(this.#db, { jobId, worker: this.#worker });
        this.#stranded.delete(jobId);
      }
    } catch (error) {
      this.#log.warn({ err: error }, "leases not renewed");
    }
  }

  /** Waits for no work: that has ended, or is not waited for any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.#turn;
    if (this.#stranded.size > 0) await this.#renew();
  }
}

function heldError(jobId: number, forMs: number): RateLimitedError {
  const retryAt = new Date(Date.now() + Math.max(forMs, 100));
  return new RateLimitedError(`another worker has the log of job ${jobId}; it is looked at again later`, retryAt);
}
