// BullMQ's Postgres backend with workarounds for a Postgres that refuses connections or ends sessions.

import { setTimeout as sleep } from "node:timers/promises";

import { createPostgresBackend } from "bullmq";
import pg from "pg";

/** Delay before each consumer retries a Postgres that refuses. */
const refusalPauseMs = 1_000;

/**
 * Works around three bugs of BullMQ 6.7. It caches the result of its first schema check indefinitely, even a failure; the check is skipped,
 * since `checkQueueEngine` has done it. It retries a failed fetch without yielding to the event loop; a delay is added. It does not handle
 * 'error' events of its listening session while that connects and closes, so a session that Postgres ends then would end the process.
 */
export const createBullmqPostgresBackend: typeof createPostgresBackend = (...choice) => {
  const backend = createPostgresBackend(...choice);
  backend.connection.waitUntilReady = () => Promise.resolve();
  const moveToActive = backend.moveToActive.bind(backend);
  backend.moveToActive = async (token, workerName) => {
    try {
      return await moveToActive(token, workerName);
    } catch (error) {
      await sleep(refusalPauseMs);
      throw error;
    }
  };
  // The module that creates the listening session; there is no option for it. The pool handles its own errors.
  Reflect.set(backend.connection, "pgModule", { ...pg, Client: DeferredErrorClient });
  return backend;
};

/** Emits an error without a listener again in the next turn of the event loop, instead of throwing it. */
class DeferredErrorClient extends pg.Client {
  override emit(...event: Parameters<pg.Client["emit"]>): boolean {
    const [name] = event;
    if (name !== "error" || this.listenerCount(name) > 0) return super.emit(...event);
    setImmediate(() => this.listenerCount(name) > 0 && super.emit(...event));
    return false;
  }
}
