// Limits how long a command waits in total without progress. Progress ends a pause, and cancels only the short pause before it.

const second = 1_000;

export type IdleLimits = {
  readonly maxWaitSeconds: number;
  /** A pause that ends with progress does not count up to this long, since work comes in pieces and is observed periodically. */
  readonly maxPauseSeconds: number;
};

export class IdleTimeout {
  readonly #maxWaitMs: number;
  readonly #maxPauseMs: number;
  readonly #now: () => number;
  #waitedMs = 0;
  /** The pause since the last progress, without time at work. */
  #pauseMs = 0;
  #pausedSince: number;
  #working = 0;
  /** Time before this is already counted, or was work. */
  #countedUntil: number;

  /** @param now a monotonic clock in milliseconds */
  constructor({ maxWaitSeconds, maxPauseSeconds }: IdleLimits, now: () => number = () => performance.now()) {
    this.#maxWaitMs = maxWaitSeconds * second;
    this.#maxPauseMs = maxPauseSeconds * second;
    this.#now = now;
    this.#pausedSince = now();
    this.#countedUntil = this.#pausedSince;
  }

  recordProgress(): void {
    this.#countPause();
    this.#waitedMs += Math.max(0, this.#pauseMs - this.#maxPauseMs);
    this.#pauseMs = 0;
    this.#countedUntil = this.#now();
  }

  /** Runs `work`. Its time does not count as waiting unless it throws; then the time since the last progress counts. */
  async whileWorking<T>(work: () => Promise<T>): Promise<T> {
    const startedAt = this.#now();
    this.#countPause();
    this.#working++;
    try {
      const result = await work();
      this.#countedUntil = this.#now();
      return result;
    } catch (error) {
      this.#waitedMs += this.#now() - Math.max(startedAt, this.#countedUntil);
      this.#countedUntil = this.#now();
      throw error;
    } finally {
      this.#working--;
      this.#pausedSince = this.#now();
    }
  }

  get waitedSeconds(): number {
    return this.#totalMs() / second;
  }

  get leftMs(): number {
    return Math.max(0, this.#maxWaitMs - this.#totalMs());
  }

  get isOver(): boolean {
    return this.leftMs === 0;
  }

  #totalMs(): number {
    this.#countPause();
    return this.#waitedMs + this.#pauseMs;
  }

  #countPause(): void {
    const now = this.#now();
    if (this.#working === 0) this.#pauseMs += now - this.#pausedSince;
    this.#pausedSince = now;
  }
}
