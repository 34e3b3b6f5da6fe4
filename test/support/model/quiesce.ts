// The end of a history: no more faults, all due work is done, and the archive is compared with what GitHub has.

import { verifyArchive } from "@actions-archive/archive/verify/verify-archive";
import { pollRepository } from "@actions-archive/fetcher/poll/poll-repository";
import { feed } from "@actions-archive/fetcher/queue/feed";
import { recordStoredDeliveries } from "@actions-archive/fetcher/webhook/receive-delivery";
import { expect } from "vitest";

import { backfill } from "./commands.ts";
import { archiveNext, loadNext } from "./deliver.ts";
import type { LogJobs } from "./log-jobs.ts";
import type { System } from "./system.ts";

const maxRounds = 20;
const { signal } = new AbortController();

type Row = { id: number; state: string; reason: string | null; sha256: string | null };

/** Does all due work. @throws when work remains after `maxRounds`. */
export async function quiesce(model: LogJobs, system: System): Promise<void> {
  await system.restart();
  for (const runId of model.openRunIds.splice(0)) await system.simulator.control.completeRun({ runId });
  const { repositoryId, ask } = system;
  for (let round = 0; round < maxRounds; round += 1) {
    await system.passTime();
    await system.perform(({ fetcher }) => recordStoredDeliveries(fetcher));
    await system.perform(({ fetcher }) => pollRepository(fetcher, repositoryId, { isFullPass: true, signal }));
    await backfill(model, system);
    await system.perform(({ fetcher }) => feed(fetcher));
    const { archiveQueue, loadQueue } = system.workers.fetcher;
    for (let left = (await archiveQueue.ids()).length; left > 0; left -= 1) await archiveNext(system, 0);
    for (let left = (await loadQueue.ids()).length; left > 0; left -= 1) await loadNext(system, 0);
    await model.check(system);
    const owed = await ask(`
      select job_id as id from archive.log_jobs where log_state = 'pending' or log_state = 'failed' or rows_loaded_at is null
      union all select run_id from archive.attempts where state = 'open' or (state = 'listed' and record_key is null)
      union all select backfill_id from archive.backfills where state <> 'done'`);
    if (owed.length === 0) break;
    expect(round, `due after ${round + 1} rounds: ${JSON.stringify(owed)}`).toBeLessThan(maxRounds - 1);
  }
  await system.perform(({ seal }) => seal());
  await system.perform(({ seal }) => seal());
}

/** Compares the archive with the simulator's oracle. */
export async function checkInvariants(model: LogJobs, system: System): Promise<void> {
  const { ask, simulator, store, publicKey } = system;
  await model.check(system);
  const rows = await ask<Row>(
    "select job_id as id, log_state as state, log_reason as reason, log_sha256 as sha256 from audit.jobs order by job_id",
  );
  const { jobs } = await simulator.control.world({});
  const completed = jobs.filter(({ expected }) => expected !== undefined);
  expect(rows.map(({ id }) => id)).toEqual(completed.map(({ jobId }) => jobId).toSorted((a, b) => a - b));
  const found = new Map(rows.map((row) => [row.id, row]));
  const wrong = completed.flatMap((job) =>
    model.checkInvariants(job, found.get(job.jobId) ?? { state: "none", reason: null, sha256: null }),
  );
  expect(wrong).toEqual([]);
  expect(await ask("select kind, reason from audit.gaps where kind not in ('window_open', 'not_sealed')")).toEqual([]);
  expect(await ask("select object_key from archive.objects where sealed_in is null")).toEqual([]);
  // Every object is sealed as it is, and every log decodes to what its record says.
  const { findings, chain } = await verifyArchive(store, {
    keys: [publicKey],
    isDeep: () => true,
    sealIntervalSeconds: 3_600,
  });
  expect({ tampering: findings.tampering, notices: findings.notices }).toEqual({ tampering: [], notices: [] });
  expect(chain.links.length).toBeGreaterThan(0);
}
