// Opens the loader's resources, and processes the load queue.

import { openArchive } from "@actions-archive/archive/open-archive";
import { countingStore } from "@actions-archive/archive/store/counting-store";
import { createHealthApp, listen } from "@actions-archive/core/health";
import { Metrics } from "@actions-archive/core/metrics";
import { archiveIdentityKey } from "@actions-archive/core/object-key";
import { Consumer, type Handler, Producer, type QueueSettings } from "@actions-archive/core/queue";
import { checkQueueEngine } from "@actions-archive/core/queue-engine";
import type { Service } from "@actions-archive/core/service";
import { githubHost } from "@actions-archive/core/settings";
import { claimIdentity, findIdentity } from "@actions-archive/database/ledger/identity";
import { openLedger } from "@actions-archive/database/ledger/open-ledger";
import { createStateSource } from "@actions-archive/database/metrics/measure-state";

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
  { log, resources, metrics = new Metrics(log) }: Pick<Service, "log" | "resources" | "metrics">,
): Promise<OpenLoader> {
  const host = githubHost(config.GITHUB_API_URL, config.GITHUB_HOST);
  const { db, ping } = resources.use(
    await openLedger({ url: config.DATABASE_URL.href, applicationName: "actions-archive loader", log }),
  );
  const { store: opened, identity } = resources.use(
    await openArchive(config, { host, archiveId: (await findIdentity(db))?.archive_id }),
  );
  const store = countingStore(opened, metrics);
  await claimIdentity(db, identity);
  await checkQueueEngine(config.QUEUE_URL);
  const queue = { url: config.QUEUE_URL, archiveId: identity.archive_id, host };
  const loader = { db, store, host, log, metrics };
  if (config.PORT !== undefined) await serveHealth(loader, { port: config.PORT, ping, queue, resources });
  const drainMs = Math.max(1, config.SHUTDOWN_GRACE_SECONDS - 5) * 1000;
  resources.use(new Consumer("load", queue, loadWork(loader), { concurrency, drainMs, log }));
  return { loader, archiveId: identity.archive_id };
}

type HealthRequest = {
  readonly port: number;
  readonly ping: () => Promise<void>;
  readonly queue: QueueSettings;
  readonly resources: AsyncDisposableStack;
};

async function serveHealth({ db, store, metrics, log }: Loader & { metrics: Metrics }, request: HealthRequest): Promise<void> {
  const { port, ping, queue, resources } = request;
  const loadQueue = resources.use(new Producer("load", queue, log));
  metrics.addSource(createStateSource(db));
  const engines = {
    database: ping,
    queue: () => loadQueue.ping(),
    store: async () => void (await store.head(archiveIdentityKey)),
  };
  resources.use(await listen(createHealthApp(engines, metrics), port));
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
