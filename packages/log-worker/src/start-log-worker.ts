// Starts the log-worker: opens its engines and consumes the archive queue.

import { openSpool } from "@actions-archive/archive/log/spool";
import { openArchive } from "@actions-archive/archive/open-archive";
import { countingStore } from "@actions-archive/archive/store/counting-store";
import { createHealthApp, listen } from "@actions-archive/core/health";
import { Metrics } from "@actions-archive/core/metrics";
import { archiveIdentityKey } from "@actions-archive/core/object-key";
import { Consumer, Producer, type QueueSettings } from "@actions-archive/core/queue";
import { checkQueueEngine } from "@actions-archive/core/queue-engine";
import type { Service } from "@actions-archive/core/service";
import { githubHost } from "@actions-archive/core/settings";
import { openDatabaseBudget } from "@actions-archive/database/budget/credentials";
import { claimIdentity, findIdentity } from "@actions-archive/database/ledger/identity";
import { openLedger } from "@actions-archive/database/ledger/open-ledger";
import { createStateSource } from "@actions-archive/database/metrics/measure-state";
import { openGitHubFrom } from "@actions-archive/github/open-from-settings";

import { archiveLog } from "./archive-log.ts";
import type { LogWorkerConfig } from "./config.ts";
import { LogLeases } from "./log-leases.ts";
import type { Activity, LogWorker } from "./log-worker.ts";
import { RwLock } from "./rw-lock.ts";

/** A log that gets no budget within this time returns to the queue, so that it does not block logs of other credentials. */
const maxTurnMs = 5_000;

export type LogWorkerService = Pick<Service, "log" | "resources" | "metrics"> & { readonly activity?: Activity };

/**
 * Starts the log-worker; `resources` stop it.
 * @throws ConfigError when an engine is refused.
 */
export async function startLogWorker(config: LogWorkerConfig, service: LogWorkerService): Promise<void> {
  const { log, resources, activity } = service;
  const { worker, queue } = await openLogWorker(config, service);
  const drainMs = Math.max(1, config.SHUTDOWN_GRACE_SECONDS - 5) * 1000;
  resources.use(
    new Consumer("archive", queue, archiveLog({ ...worker, activity }), {
      concurrency: config.DOWNLOAD_CONCURRENCY,
      drainMs,
      log,
    }),
  );
}

/**
 * Opens the worker's engines; `resources` close them.
 * @throws ConfigError when an engine is refused.
 */
export async function openLogWorker(
  config: LogWorkerConfig,
  { log, resources, metrics = new Metrics(log) }: Pick<Service, "log" | "resources" | "metrics">,
): Promise<{ readonly worker: LogWorker; readonly queue: QueueSettings }> {
  const host = githubHost(config.GITHUB_API_URL, config.GITHUB_HOST);
  const { db, ping } = resources.use(
    await openLedger({
      url: config.DATABASE_URL.href,
      applicationName: "actions-archive log-worker",
      maxConnections: config.DOWNLOAD_CONCURRENCY + 2,
      log,
    }),
  );
  const { store: opened, identity } = resources.use(
    await openArchive(config, { host, archiveId: (await findIdentity(db))?.archive_id }),
  );
  const store = countingStore(opened, metrics);
  log.info({ store: store.url, ...store.capabilities }, "store probed");
  if (store.capabilities?.conditionalPut === false) {
    const consequence = "concurrent writers of one key may overwrite each other; see docs/decisions/0017-stores-that-lie.md";
    log.warn({ store: store.url, versioned: store.capabilities.versioned, consequence }, "store ignores conditions");
  }
  await claimIdentity(db, identity);
  await checkQueueEngine(config.QUEUE_URL);
  const spool = await openSpool({ dir: config.SPOOL_DIR, maxBytes: config.SPOOL_MAX_BYTES });
  const { GITHUB_RESERVE_PERCENT: reservePercent, GITHUB_MAX_REQUESTS_PER_HOUR: maxPerHour } = config;
  const budget = openDatabaseBudget(db, { reservePercent, maxPerHour, maxTurnMs });
  const github = resources.use(openGitHubFrom(config, { budget, log, metrics }));
  const queue = { url: config.QUEUE_URL, archiveId: identity.archive_id, host };
  const loadQueue = resources.use(new Producer("load", queue, log));
  metrics.addSource(async () => ({ spool_bytes: [{ value: spool.reservedBytes }] }));
  if (config.PORT !== undefined) {
    metrics.addSource(createStateSource(db));
    const engines = {
      database: ping,
      queue: () => loadQueue.ping(),
      store: async () => void (await store.head(archiveIdentityKey)),
    };
    resources.use(await listen(createHealthApp(engines, metrics), config.PORT));
  }
  const logLeases = resources.use(new LogLeases({ db, log }));
  return {
    worker: { logLeases, rwLock: new RwLock(), db, store, github, spool, loadQueue, host, log, metrics, settings: config },
    queue,
  };
}
