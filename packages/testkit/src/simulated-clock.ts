// Synchronizes the clock that GitHub's dates are compared with to a simulator's, for tests with simulated time.

import type { Budget } from "@actions-archive/core/budget";
import type { Clock } from "@actions-archive/github-simulator/clock";
import { Client } from "pg";

/** `simulatedMs` is the simulated time at `realMs`, by this machine's clock; `speed` is simulated time per real time. */
export type SimulatedTime = { readonly simulatedMs: number; readonly realMs: number; readonly speed: number };

export type ClockFollower = AsyncDisposable & {
  /** Resolves once the database's clock follows the last `advance` or `setSpeed`. */
  readonly settled: () => Promise<void>;
};

/** For clients in this process: their budget reads the simulator's clock itself. */
export function withSimulatedClock(budget: Budget, clock: Pick<Clock, "now">): Budget {
  return { ...budget, clock: { ...budget.clock, now: () => clock.now(), read: async () => clock.now() } };
}

/**
 * For clients in other processes: replaces `archive.clock()` of a migrated database now, and after each `advance` and `setSpeed`.
 * @param databaseUrl of the schema's owner
 */
export async function followClock(databaseUrl: string, clock: Clock): Promise<ClockFollower> {
  let turn = Promise.resolve();
  const follow = () => {
    turn = turn.then(() =>
      setDatabaseClock(databaseUrl, () => ({ simulatedMs: clock.nowMs(), realMs: Date.now(), speed: clock.speed })),
    );
    return turn;
  };
  await follow();
  // A failure is thrown by the next `settled`.
  const stop = clock.onAdvance(() => void follow().catch(() => undefined));
  return {
    settled: () => turn,
    async [Symbol.asyncDispose]() {
      stop();
      await turn.catch(() => undefined);
    },
  };
}

/** @param readTime is called after connecting, just before the clock is replaced. */
export async function setDatabaseClock(databaseUrl: string, readTime: () => SimulatedTime): Promise<void> {
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    const { simulatedMs, realMs, speed } = readTime();
    const [simulated, real] = [simulatedMs, realMs].map((ms) => `timestamptz '${new Date(ms).toISOString()}'`);
    await client.query(
      `create or replace function archive.clock() returns timestamptz language sql volatile
      as $$ select ${simulated} + (clock_timestamp() - ${real}) * ${speed}::float8 $$`,
    );
  } finally {
    await client.end();
  }
}
