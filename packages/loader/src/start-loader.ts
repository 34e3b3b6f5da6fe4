// Opens the loader's resources, and processes the load queue.

import { openArchive } from "@actions-archive/archive/open-archive";
import { createHealthApp, createMetrics, listen } from "@actions-archive/core/health";
import { Consumer, type Handler } from "@actions-archive/core/queue";
import { checkQueueEngine } from "@actions-archive/core/queue-engine";
import type { Service } from "@actions-archive/core/service";
import { githubHost } from "@actions-archive/core/settings";
import { claimIdentity, findIdentity } from "@actions-archive/database/ledger/identity";
import { openLedger } from "@actions-archive/database/ledger/open-ledger";

import type { LoaderConfig } from "./config.ts";
import type { Loader } from "./loader.ts";
import { createBatcher, loadBatches } from "./rows/batcher.ts";
import { loadJobs } from "./rows/load-jobs.ts";
import { loadRecords, type RecordToLoad } from "./rows/load-records.ts";
import { loadRun } from "./rows/load-run.ts";
import type { OpenLoader } from "./seal/start-sealing.ts";

/** Collects items while other batches run. */
const concurrency = 2 * loadBatches.maxItems * loadBatches.maxRunning;

/**
 * Returns once the loader processes work; `resources` end it. It does not seal: `startSealing` does.
 * @throws ConfigError if an engine is refused.
 */
export async function startLoader(
  config: LoaderConfig,
  { log, resources }: Pick<Service, "log" | "resources">,
): Promise<OpenLoader> {
  const host = githubHost(config.GITHUB_API_URL, config.GITHUB_HOST);
  const { db, ping } = resources.use(
    await openLedger({ url: config.DATABASE_URL.href, applicationName: "actions-archive loader", log }),
  );
  const { store, identity } = resources.use(await openArchive(config, { host, archiveId: (await findIdentity(db))?.archive_id }));
  await claimIdentity(db, identity);
  await checkQueueEngine(config.QUEUE_URL);
  const queue = { url: config.QUEUE_URL, archiveId: identity.archive_id, host };
  if (config.PORT !== undefined) resources.use(await listen(createHealthApp({ ready: ping }, createMetrics()), config.PORT));
  const drainMs = Math.max(1, config.SHUTDOWN_GRACE_SECONDS - 5) * 1000;
  const loader = { db, store, host, log };
  resources.use(new Consumer("load", queue, loadWork(loader), { concurrency, drainMs, log }));
  return { loader, archiveId: identity.archive_id };
}

function loadWork(loader: Loader): Handler<"load"> {
  const addJob = createBatcher<number>(loadBatches, (jobIds) => loadJobs(loader, [...new Set(jobIds)]));
  const addRecord = createBatcher<RecordToLoad>(loadBatches, (records) => loadRecords(loader, records));
  return async (payload) => {
    switch (payload.kind) {
      case "job":
        return addJob(payload.job_id);
      case "record":
        return addRecord(payload);
      case "run":
        return loadRun(loader, payload);
    }
  };
}
