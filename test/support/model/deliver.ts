// Delivers one queue entry to its handler and removes the entry. An entry whose handler fails stays for a retry.

import type { StageName } from "@actions-archive/core/stages";
import { tryParseArchiveId } from "@actions-archive/core/stages";
import { loadJobs } from "@actions-archive/loader/rows/load-jobs";
import { loadRecords } from "@actions-archive/loader/rows/load-records";
import { loadRun } from "@actions-archive/loader/rows/load-run";
import { archiveLog } from "@actions-archive/log-worker/archive-log";

import type { System } from "./system.ts";
import type { Workers } from "./workers.ts";

const { signal } = new AbortController();

/** Delivers an entry of the archive queue, if there is one. */
export async function archiveNext(system: System, index: number): Promise<void> {
  await deliver(system, "archive", index, async ({ worker }, id) => {
    const job_id = tryParseArchiveId(id);
    if (job_id !== undefined) await archiveLog(worker)({ job_id }, { signal, attempt: 1, isLastAttempt: false });
  });
}

/** Delivers an entry of the load queue, if there is one. */
export async function loadNext(system: System, index: number): Promise<void> {
  await deliver(system, "load", index, async ({ loader }, id) => {
    const [, kind, first = "", rest = ""] = /^load-(job|record|run)-(\d+)(?:-(.+))?$/.exec(id) ?? [];
    if (kind === "job") await loadJobs(loader, [Number(first)]);
    if (kind === "record") await loadRecords(loader, [{ job_id: Number(first), key: rest }]);
    if (kind === "run") await loadRun(loader, { run_id: Number(first), run_attempt: Number(rest) });
  });
}

async function deliver(
  system: System,
  queueName: Extract<StageName, "archive" | "load">,
  index: number,
  handle: (workers: Workers, id: string) => Promise<void>,
): Promise<void> {
  await system.perform(async (workers) => {
    const queue = queueName === "archive" ? workers.fetcher.archiveQueue : workers.fetcher.loadQueue;
    const ids = await queue.ids();
    const id = ids.toSorted()[index % Math.max(1, ids.length)];
    if (id === undefined) return;
    await handle(workers, id);
    await system.finishWork(queueName, id);
  });
}
