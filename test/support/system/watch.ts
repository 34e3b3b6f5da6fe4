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
      throw new Error(
        `after ${limitSeconds} s still owed: ${JSON.stringify(owed)}\n${await whatHolds(system)}\n${lastWords(system)}`,
      );
    if (rounds % 40 === 0) await system.cli("retry");
    await sleep(250);
  }
}

/** Why what is owed is not done: in groups, from the ledger and the queue. */
async function whatHolds({ postgres, redis }: System): Promise<string> {
  const logs = await postgres.ask(
    `select log_state, left(log_detail, 100) as detail, count(*) as logs, max(tries) as tries, min(due_at - now())::text as due_from,
      max(due_at - now())::text as due_to, count(in_flight.job_id) filter (where worker is not null) as in_flight, max(deaths) as deaths
    from archive.obligations left join archive.logs_in_flight as in_flight using (job_id)
    where log_state in ('pending', 'failed') group by 1, 2 order by 3 desc limit 8`,
  );
  const credentials = await postgres.ask(
    "select credential, (paused_until - now())::text as pause, pause_reason from archive.credentials",
  );
  const queues: string[] = [];
  for (const key of ((await redis?.ask("KEYS", "*")) as string[] | undefined) ?? []) {
    const [, queue, list = ""] = /:(archive|load|fetch):(active|wait|delayed|failed|paused|stalled)$/.exec(key) ?? [];
    if (queue === undefined) continue;
    const length = await redis?.ask(
      list === "delayed" || list === "failed" ? "ZCARD" : list === "stalled" ? "SCARD" : "LLEN",
      key,
    );
    queues.push(`${queue} ${list} ${String(length)}`);
  }
  return [...logs, ...credentials]
    .map((row) => JSON.stringify(row))
    .concat(queues.join(", "))
    .join("\n");
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
