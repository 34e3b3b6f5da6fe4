// Watches a running system from outside: its due work, and the resources of its processes.

import { setTimeout as sleep } from "node:timers/promises";

import type { System } from "./system.ts";

export type DueWork = {
  readonly jobs: number;
  /** Logs that are neither archived nor absent. */
  readonly unsettled: number;
  /** Attempts that are completed and due to be listed. */
  readonly lagging: number;
  /** Jobs without their rows. */
  readonly unloaded: number;
};

/** @returns the ledger's counts of due work; undefined while the database is away. */
export async function countDueWork({ postgres }: System): Promise<DueWork | undefined> {
  const rows = await postgres
    .ask(
      `select count(*) as jobs, count(*) filter (where log_state in ('pending', 'failed')) as unsettled,
        (select count(*) from archive.attempts where state = 'open' and status = 'completed' and check_due_at <= now()) as lagging,
        count(*) filter (where rows_loaded_at is null) as unloaded
      from archive.log_jobs`,
    )
    .catch(() => []);
  // The columns of the query above.
  return rows[0] as DueWork | undefined;
}

export function isSettled(dueWork: DueWork | undefined): boolean {
  return dueWork !== undefined && dueWork.jobs > 0 && dueWork.unsettled === 0 && dueWork.lagging === 0 && dueWork.unloaded === 0;
}

/**
 * Waits until no work is due and the ledger has at least `jobs` jobs. Failed logs are retried as an operator would, since their
 * next automatic retry is a day away. @returns seconds. @throws when it takes longer than `limitSeconds`.
 */
export async function untilSettled(system: System, { jobs = 1, limitSeconds = 240 } = {}): Promise<number> {
  const began = performance.now();
  const seconds = () => (performance.now() - began) / 1_000;
  for (let rounds = 1; ; rounds++) {
    const dueWork = await countDueWork(system);
    if (dueWork !== undefined && dueWork.jobs >= jobs && isSettled(dueWork)) return seconds();
    if (seconds() > limitSeconds)
      throw new Error(
        `after ${limitSeconds} s there is still work due: ${JSON.stringify(dueWork)}\n${await explainDueWork(system)}\n${lastOutput(system)}`,
      );
    if (rounds % 40 === 0) await system.cli("retry");
    await sleep(250);
  }
}

/** @returns why work is still due, grouped, from the ledger and the queue. */
async function explainDueWork({ postgres, redis }: System): Promise<string> {
  const logs = await postgres.ask(
    `select log_state, left(log_detail, 100) as detail, count(*) as logs, max(tries) as tries, min(due_at - now())::text as due_from,
      max(due_at - now())::text as due_to, count(in_flight.job_id) filter (where worker is not null) as in_flight, max(crashes) as crashes
    from archive.log_jobs left join archive.log_leases as in_flight using (job_id)
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

/** @returns the ends of the workers' output. */
function lastOutput({ replicas }: System): string {
  return replicas.map(({ name, lifetime }) => `${name}: ${lifetime?.program.printed().slice(-1_500) ?? "never ran"}`).join("\n");
}

/** Samples memory and open files of every worker each second, until disposed. */
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
