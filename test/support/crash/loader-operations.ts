// The operations of a loader: loading rows and records, run records, seals, removal of logs; and the rebuild of its database.

import { openArchive } from "@actions-archive/archive/open-archive";
import { openSigner } from "@actions-archive/archive/seal/seal-key";
import { githubHost } from "@actions-archive/core/settings";
import { findIdentity } from "@actions-archive/database/ledger/identity";
import { openLedger } from "@actions-archive/database/ledger/open-ledger";
import { loadLoaderConfig } from "@actions-archive/loader/config";
import type { Loader } from "@actions-archive/loader/loader";
import { rebuild } from "@actions-archive/loader/rebuild/rebuild";
import { applyPolicies, removeTombstoned } from "@actions-archive/loader/retention/apply-retention";
import { loadJobs } from "@actions-archive/loader/rows/load-jobs";
import { loadRecords, type RecordToLoad } from "@actions-archive/loader/rows/load-records";
import { loadRun } from "@actions-archive/loader/rows/load-run";
import { sealPending } from "@actions-archive/loader/seal/start-sealing";

import type { CallCounter } from "../crash-at.ts";
import { operationActor as name, type OpenOperation, type Opening } from "./operations.ts";

async function openLoader({ env, resources, log }: Opening) {
  const config = loadLoaderConfig(env);
  const host = githubHost(config.GITHUB_API_URL, config.GITHUB_HOST);
  const { db, pool } = resources.use(await openLedger({ url: config.DATABASE_URL.href, applicationName: name }));
  const expected = { host, archiveId: (await findIdentity(db))?.archive_id };
  const { store, identity } = resources.use(await openArchive(config, expected));
  return { config, pool, archiveId: identity.archive_id, loader: { db, store, host, log } };
}

function countReads({ store }: Loader): (counter: CallCounter) => void {
  return (counter) => counter.countMethods(store, ["put", "head", "read", "open"]);
}

export async function openLoad(opening: Opening): Promise<OpenOperation> {
  const { loader, pool } = await openLoader(opening);
  const { rows: jobs } = await pool.query<{ job_id: number }>("select job_id from archive.log_jobs order by 1");
  const { rows: records } = await pool.query<RecordToLoad>(
    "select job_id, record_key as key from archive.log_jobs where record_key is not null order by 1",
  );
  const { rows: attempts } = await pool.query<{ run_id: number; run_attempt: number }>(
    "select run_id, run_attempt from archive.attempts where state = 'listed' order by 1, 2",
  );
  return {
    count: countReads(loader),
    async perform() {
      const jobIds = jobs.map(({ job_id }) => job_id);
      await loadJobs(loader, jobIds);
      await loadRecords(loader, records);
      for (const attempt of attempts) await loadRun(loader, attempt);
    },
  };
}

export async function openSeal(opening: Opening): Promise<OpenOperation> {
  const { config, loader, archiveId } = await openLoader(opening);
  return { count: countReads(loader), perform: () => sealPending(config, { loader, archiveId }) };
}

/** As the periodic maintenance does it: decide, seal, then remove. */
export async function openRemove(opening: Opening): Promise<OpenOperation> {
  const { config, loader, archiveId } = await openLoader(opening);
  return {
    count: (counter) => counter.countMethods(loader.store, ["put", "head", "read", "open", "remove"]),
    async perform() {
      await applyPolicies(loader);
      await sealPending(config, { loader, archiveId });
      await removeTombstoned(loader);
    },
  };
}

export async function openRebuild(opening: Opening): Promise<OpenOperation> {
  const { config, loader } = await openLoader(opening);
  const { publicKey } = openSigner(config.SEAL_KEY ?? "");
  // Small batches, so that several are in progress at a crash.
  const options = { publicKey, signal: new AbortController().signal, batchObjects: 3 };
  return {
    count: countReads(loader),
    async perform() {
      await rebuild(loader, options);
    },
  };
}
