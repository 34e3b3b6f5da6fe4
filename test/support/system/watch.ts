// Looks at a system from outside while it works: what is owed, and what its processes use.

import { setTimeout as sleep } from "node:timers/promises";

import type { System } from "./system.ts";

export type Owed = {
  readonly jobs: number;
  /** Logs that are neither archived nor absent. */
  readonly unsettled: number;
  /** Attempts that are over and due to be listed. */
  readonly lagging: number;
  /** Jobs without their rows. */
  readonly unloaded: number;
};

/** What the ledger owes; undefined while the database is away. */
export async function countOwed({ postgres }: System): Promise<Owed | undefined> {
  const rows = await postgres
    .ask(
      `select count(*) as jobs, count(*) filter (where log_state in ('pending', 'failed')) as unsettled,
        (select count(*) from archive.attempts where state = 'open' and status = 'completed' and visit_due_at <= now()) as lagging,
        count(*) filter (where rows_loaded_at is null) as unloaded
      from archive.obligations`,
    )
    .catch(() => []);
  // The columns of the query above.
  return rows[0] as Owed | undefined;
}

export function isSettled(owed: Owed | undefined): boolean {
  return owed !== undefined && owed.jobs > 0 && owed.unsettled === 0 && owed.lagging === 0 && owed.unloaded === 0;
}

/**
 * Waits until nothing is owed, and there are at least `jobs`. What has failed is tried again as an operator would, since its next try
 * by itself is a day away. @returns the seconds that it took. @throws when it takes longer than `limitSeconds`.
 */
export async function untilSettled(system: System, { jobs = 1, limitSeconds = 240 } = {}): Promise<number> {
  const began = performance.now();
  const seconds = () => (performance.now() - began) / 1_000;
  for (let rounds = 1; ; rounds++) {
    const owed = await countOwed(system);
    if (owed !== undefined && owed.jobs >= jobs && isSettled(owed)) return seconds();
    if (seconds() > limitSeconds)
      throw new Error(`after ${limitSeconds} s still owed: ${JSON.stringify(owed)}\n${lastWords(system)}`);
    if (rounds % 40 === 0) await system.cli("retry");
    await sleep(250);
  }
}

/** The ends of what the workers printed. */
function lastWords({ replicas }: System): string {
  return replicas.map(({ name, life }) => `${name}: ${life?.program.printed().slice(-1_500) ?? "never ran"}`).join("\n");
}

/** Notes memory and open files of every worker each second, until disposed. */
export function watchProcesses({ replicas }: System): AsyncDisposable {
  const stop = new AbortController();
  const watching = (async () => {
    while (!stop.signal.aborted) {
      await Promise.all(replicas.map((replica) => replica.sample()));
      await sleep(1_000, undefined, { signal: stop.signal }).catch(() => undefined);
    }
  })();
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await watching;
    },
  };
}
