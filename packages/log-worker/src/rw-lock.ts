// Lets logs be worked on together, or one alone: a log that finds no room beside others, or at which workers died.

import { randomUUID } from "node:crypto";

/** First come, first served: who wants to be alone waits for those who work, and those who come later wait for it. */
export class RwLock {
  readonly #name = `logs-${randomUUID()}`;

  /** Works beside others. Rejects with the signal's reason when it aborts before the work began. */
  async together<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    return this.#pass("shared", signal, work);
  }

  /** Works while nobody else in this process does. Rejects with the signal's reason when it aborts before the work began. */
  async alone<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    return this.#pass("exclusive", signal, work);
  }

  async #pass<T>(mode: "shared" | "exclusive", signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    return navigator.locks.request(this.#name, { mode, signal }, work);
  }
}
