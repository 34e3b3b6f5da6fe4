// All three workers in one process, without a queue before their handlers, with a shared lifetime.

import { openSpool } from "@actions-archive/archive/log/spool";
import type { Store } from "@actions-archive/archive/store/store";
import { createLogger } from "@actions-archive/core/logger";
import { Producer, type QueueSettings } from "@actions-archive/core/queue";
import { openDatabaseBudget } from "@actions-archive/database/budget/credentials";
import { openDatabase } from "@actions-archive/database/connection/open-database";
import type { Fetcher } from "@actions-archive/fetcher/fetcher";
import type { Simulator } from "@actions-archive/github-simulator/simulator";
import { openGitHub } from "@actions-archive/github/github";
import { parseLogHosts } from "@actions-archive/github/transport/log-hosts";
import { type Loader } from "@actions-archive/loader/loader";
import { sealArchive } from "@actions-archive/loader/seal/seal-archive";
import { openSealer } from "@actions-archive/loader/seal/start-sealing";
import { LogLeases } from "@actions-archive/log-worker/log-leases";
import type { LogWorker } from "@actions-archive/log-worker/log-worker";
import { RwLock } from "@actions-archive/log-worker/rw-lock";

import { Lifetime } from "./lifetime.ts";

export type Workers = AsyncDisposable & {
  readonly lifetime: Lifetime;
  readonly fetcher: Fetcher;
  readonly worker: LogWorker;
  readonly loader: Loader;
  /** Seals once, like a loader that has just started. */
  readonly seal: () => Promise<unknown>;
};

export type Engines = {
  readonly databaseUrl: string;
  readonly store: Store;
  readonly queue: QueueSettings;
  readonly simulator: Simulator;
  /** Private key, PEM. */
  readonly sealKey: string;
  readonly spoolDir: string;
};

/** The application_name in pg_stat_activity. */
export const workersName = "model's workers";

export async function openWorkers({ databaseUrl, store, queue, simulator, sealKey, spoolDir }: Engines): Promise<Workers> {
  await using resources = new AsyncDisposableStack();
  const log = createLogger("model", "silent");
  const lifetime = new Lifetime();
  const database = resources.use(await openDatabase({ url: databaseUrl, applicationName: workersName, log }));
  const db = lifetime.limitDatabase(database.db);
  const github = resources.use(
    openGitHub({
      apiUrl: new URL(simulator.apiUrl),
      credentials: { kind: "token", token: simulator.token },
      logHosts: parseLogHosts(simulator.logOrigin),
      budget: openDatabaseBudget(db, { reservePercent: 0 }),
      log,
    }),
  );
  lifetime.limit(github.transport, ["callApi", "downloadLog"]);
  const archiveQueue = lifetime.limit(resources.use(new Producer("archive", queue, log)), ["add", "ids"]);
  const loadQueue = lifetime.limit(resources.use(new Producer("load", queue, log)), ["add", "ids"]);
  const logLeases = resources.use(new LogLeases({ db, log }));
  const spool = await openSpool({ dir: spoolDir, maxBytes: 64 * 1024 ** 2 });
  const { host } = queue;
  const loader = { db, store: lifetime.limitStore(store), host, log };
  const limits = { LOG_WAIT_SECONDS: 0, LOG_SETTLE_SECONDS: 0, MAX_LOG_BYTES: 32 * 1024 ** 2 };
  const opened = resources.move();
  return {
    lifetime,
    fetcher: { db, github, archiveQueue, loadQueue, log, settings: { POLL_INTERVAL_SECONDS: 60, RUN_SETTLE_SECONDS: 0 } },
    worker: { ...loader, logLeases, rwLock: new RwLock(), github, spool, loadQueue, settings: limits },
    loader,
    async seal() {
      const sealing = { SEAL_KEY: sealKey, SEAL_KEY_FILE: undefined, SEAL_INTERVAL_SECONDS: 3_600 };
      const sealer = await openSealer(sealing, { loader, archiveId: queue.archiveId });
      if (sealer !== undefined) await sealArchive(sealer);
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}
