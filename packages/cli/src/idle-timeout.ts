// Measures how long a command has waited in all, and ends its patience: progress stops the clock, and gives nothing back but a pause
// between two pieces of work.

const second = 1_000;

export type IdleLimits = {
  readonly maxWaitSeconds: number;
  /** A pause that progress ends is not waiting up to here: work comes in pieces, and is seen in turns. */
  readonly maxPauseSeconds: number;
};

export class IdleTimeout {
  readonly #maxWaitMs: number;
  readonly #maxPauseMs: number;
  readonly #now: () => number;
  #waitedMs = 0;
  /** The pause since the last progress, without the time at work. */
  #pauseMs = 0;
  #pausedSince: number;
  #working = 0;
  /** Time before it is counted, or was work. */
  #countedUntil: number;

  /** @param now a clock in milliseconds that never goes back */
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

  /** Time inside `work` is no waiting, unless it throws: then what came after the last progress is. */
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
