// BullMQ's queue on Postgres, where Postgres refuses for a while or ends sessions.

import { setTimeout as sleep } from "node:timers/promises";

import { createPostgresBackend } from "bullmq";
import pg from "pg";

/** A Postgres that refuses is asked again after this, by each consumer. */
const refusalPauseMs = 1_000;

/**
 * BullMQ's own, but for three things of 6.7. It keeps for ever what Postgres answered its first look at the schema, a refusal too:
 * `checkQueueEngine` has looked at the schema. What it cannot take it asks for again at once, and no other code gets a turn meanwhile: a
 * refusal is waited out. And it hears the errors of the session that listens neither in the instant in which that is begun nor while it
 * is closed: one that Postgres ends then would end the process.
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
  // What it makes that session with; there is no option for it. Its pool hears for itself.
  Reflect.set(backend.connection, "pgModule", { ...pg, Client: DeferredErrorClient });
  return backend;
};

/** Tells an error that nobody hears a moment later to who listens by then, instead of throwing it. */
class DeferredErrorClient extends pg.Client {
  override emit(...event: Parameters<pg.Client["emit"]>): boolean {
    const [name] = event;
    if (name !== "error" || this.listenerCount(name) > 0) return super.emit(...event);
    setImmediate(() => this.listenerCount(name) > 0 && super.emit(...event));
    return false;
  }
}
