// How long nothing has moved, against how long the operator wants to wait. Work that goes on is not waiting.
export class Patience {
  readonly #maxWaitMs: number;
  readonly #now: () => number;
  #lastProgressAt: number;
  #working = 0;
  #workingSince = 0;

  /** @param now a clock in milliseconds that never goes back */
  constructor(maxWaitSeconds: number, now: () => number = () => performance.now()) {
    this.#maxWaitMs = maxWaitSeconds * 1000;
    this.#now = now;
    this.#lastProgressAt = now();
  }

  noteProgress(): void {
    this.#lastProgressAt = this.#now();
    this.#workingSince = this.#lastProgressAt;
  }

  /** Time inside `work` does not count; that it ended is no progress of its own, since it may have ended in vain. */
  async whileWorking<T>(work: () => Promise<T>): Promise<T> {
    if (this.#working === 0) this.#workingSince = this.#now();
    this.#working++;
    try {
      return await work();
    } finally {
      this.#working--;
      if (this.#working === 0) this.#lastProgressAt += this.#now() - this.#workingSince;
    }
  }

  get waitedSeconds(): number {
    return this.#waitedMs() / 1000;
  }

  get leftMs(): number {
    return Math.max(0, this.#maxWaitMs - this.#waitedMs());
  }

  get isOver(): boolean {
    return this.#waitedMs() >= this.#maxWaitMs;
  }

  #waitedMs(): number {
    return Math.max(0, (this.#working > 0 ? this.#workingSince : this.#now()) - this.#lastProgressAt);
  }
}
