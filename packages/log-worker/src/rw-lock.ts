// A readers-writer lock within the process: logs are processed concurrently, except one that needs the whole spool or on which
// workers crashed.

import { randomUUID } from "node:crypto";

/** First come, first served: an exclusive request waits for the work in progress, and later requests wait for it. */
export class RwLock {
  readonly #name = `logs-${randomUUID()}`;

  /** Runs `work` concurrently with other shared work. Rejects with the signal's reason when it aborts before the work began. */
  async shared<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    return this.#request("shared", signal, work);
  }

  /** Runs `work` while no other work of this lock runs. Rejects with the signal's reason when it aborts before the work began. */
  async exclusive<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    return this.#request("exclusive", signal, work);
  }

  async #request<T>(mode: "shared" | "exclusive", signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    return navigator.locks.request(this.#name, { mode, signal }, work);
  }
}
