// Starts the fetcher: opens its engines, serves webhooks where PORT is set, polls due repositories and feeds the queues
// periodically.

import { openArchive } from "@actions-archive/archive/open-archive";
import { PermanentError, RateLimitedError } from "@actions-archive/core/errors";
import { createHealthApp, listen } from "@actions-archive/core/health";
import { Metrics, type Reading } from "@actions-archive/core/metrics";
import { archiveIdentityKey } from "@actions-archive/core/object-key";
import { Consumer, type Handler, Producer, type QueueSettings } from "@actions-archive/core/queue";
import { checkQueueEngine } from "@actions-archive/core/queue-engine";
import { runPeriodically } from "@actions-archive/core/run-periodically";
import type { Service } from "@actions-archive/core/service";
import { githubHost } from "@actions-archive/core/settings";
import { listDueBackfills } from "@actions-archive/database/backfill/backfills";
import { openDatabaseBudget } from "@actions-archive/database/budget/credentials";
import { claimIdentity, findIdentity } from "@actions-archive/database/ledger/identity";
import { openLedger } from "@actions-archive/database/ledger/open-ledger";
import { listDueRepositories } from "@actions-archive/database/ledger/repositories";
import { createStateSource } from "@actions-archive/database/metrics/measure-state";
import { openGitHubFrom } from "@actions-archive/github/open-from-settings";
import type { Hono } from "hono";

import { backfillRepository } from "./backfill/backfill-repository.ts";
import type { FetcherConfig } from "./config.ts";
import type { Fetcher } from "./fetcher.ts";
import { pollRepository } from "./poll/poll-repository.ts";
import { type DebouncedFeed, openDebouncedFeed } from "./queue/debounced-feed.ts";
import { feed } from "./queue/feed.ts";
import { pruneQueues } from "./queue/prune-queues.ts";
import { selectRepositories } from "./repositories/select-repositories.ts";
import { receiveDelivery, recordStoredDeliveries } from "./webhook/receive-delivery.ts";
import { sweepDeliveries } from "./webhook/sweep-deliveries.ts";
import { addWebhookRoute } from "./webhook/webhook-route.ts";

/** The interval of the feeder; polls are POLL_INTERVAL_SECONDS apart. */
const tickSeconds = 2;
/** A flushed Redis loses its schedulers, so each replica restores its own periodically and removes obsolete ones. */
const superviseEveryMs = 30_000;
const selectEveryMs = 10 * 60_000;
const sweepEveryMs = 10 * 60_000;
const pollsAtOnce = 4;
const duePollsAtOnce = 100;
/**
 * The maximum of concurrent backfills, over all fetchers. Each process has as many extra slots, so that backfills never block
 * polls.
 */
export const backfillsAtOnce = 4;

export type OpenFetcher = { readonly fetcher: Fetcher; readonly feeder: DebouncedFeed; readonly queue: QueueSettings };

/** The application_name of a running fetcher in pg_stat_activity. */
export const fetcherName = "actions-archive fetcher";

/**
 * Opens the fetcher without its scheduler.
 * @throws ConfigError when an engine is refused.
 */
export async function openFetcher(
  config: FetcherConfig,
  { log, resources, metrics = new Metrics(log) }: Pick<Service, "log" | "resources" | "metrics">,
  applicationName: string,
): Promise<OpenFetcher> {
  const host = githubHost(config.GITHUB_API_URL, config.GITHUB_HOST);
  const { db, ping } = resources.use(await openLedger({ url: config.DATABASE_URL.href, applicationName, log }));
  const { store, identity } = resources.use(await openArchive(config, { host, archiveId: (await findIdentity(db))?.archive_id }));
  await claimIdentity(db, identity);
  await checkQueueEngine(config.QUEUE_URL);
  const { GITHUB_RESERVE_PERCENT: reservePercent, GITHUB_MAX_REQUESTS_PER_HOUR: maxPerHour } = config;
  const github = resources.use(
    openGitHubFrom(config, { budget: openDatabaseBudget(db, { reservePercent, maxPerHour }), log, metrics }),
  );
  const queue = { url: config.QUEUE_URL, archiveId: identity.archive_id, host };
  const archiveQueue = resources.use(new Producer("archive", queue, log));
  const loadQueue = resources.use(new Producer("load", queue, log));
  const fetcher: Fetcher = { db, github, archiveQueue, loadQueue, log, metrics, settings: config };
  const feeder = resources.use(openFeeder(fetcher));
  if (config.PORT !== undefined) {
    metrics.addSource(createStateSource(db));
    metrics.addSource(async () => ({
      queue_jobs: [...(await readQueue(archiveQueue, "archive")), ...(await readQueue(loadQueue, "load"))],
    }));
    const engines = {
      database: ping,
      queue: () => archiveQueue.ping(),
      store: async () => void (await store.head(archiveIdentityKey)),
    };
    const app = createHealthApp(engines, metrics);
    serveWebhooks(app, fetcher, { secrets: config.GITHUB_WEBHOOK_SECRET ?? [], feeder });
    resources.use(await listen(app, config.PORT));
  }
  return { fetcher, feeder, queue };
}

async function readQueue(queue: Pick<Producer<"archive" | "load">, "counts">, name: string): Promise<Reading[]> {
  return Object.entries(await queue.counts()).map(([state, value]) => ({ labels: { queue: name, state }, value }));
}

// One feeder per process, so that requests of polls, deliveries and the scheduler are debounced together.
function openFeeder(fetcher: Fetcher): DebouncedFeed {
  return openDebouncedFeed(async () => {
    try {
      await feed(fetcher);
    } catch (error) {
      fetcher.log.warn({ err: error }, "queue not fed");
    }
  });
}

/**
 * Starts the fetcher; `resources` stop it.
 * @throws ConfigError when an engine is refused.
 */
export async function startFetcher(
  config: FetcherConfig,
  service: Pick<Service, "log" | "resources" | "stopping" | "metrics">,
): Promise<void> {
  const { log, resources, stopping } = service;
  const { fetcher, feeder, queue } = await openFetcher(config, service, fetcherName);
  const scheduler = resources.use(new Producer("fetch", queue, log));
  let selectDueAt = 0;
  const select = async () => {
    if (performance.now() < selectDueAt) return;
    try {
      await selectRepositories(fetcher, stopping);
      selectDueAt = performance.now() + selectEveryMs;
    } catch (error) {
      if (!stopping.aborted) log.warn({ err: error }, "repositories not selected");
    }
  };
  // Selected first: a webhook of a repository that is not selected is dropped, and only a later poll finds its jobs.
  await runPeriodically(resources, superviseEveryMs, select);
  await runPeriodically(resources, superviseEveryMs, superviseQueues(fetcher, scheduler));
  void runPeriodically(resources, superviseEveryMs, processDeliveries(fetcher, feeder, stopping));
  const drainMs = Math.max(1, config.SHUTDOWN_GRACE_SECONDS - 5) * 1000;
  resources.use(
    new Consumer("fetch", queue, fetchWork({ fetcher, feeder, scheduler, stopping }), {
      concurrency: pollsAtOnce + backfillsAtOnce + 1,
      drainMs,
      log,
    }),
  );
}

/** Prunes the queues and restores the scheduler, which pruning may have removed. */
function superviseQueues(fetcher: Fetcher, scheduler: Producer<"fetch">): () => Promise<void> {
  const { archiveQueue, loadQueue, log } = fetcher;
  return async () => {
    try {
      await pruneQueues(fetcher, { archive: archiveQueue, load: loadQueue, fetch: scheduler });
    } catch (error) {
      log.warn({ err: error }, "queues not pruned");
    }
    try {
      await scheduler.schedule({ kind: "tick" }, tickSeconds);
    } catch (error) {
      log.warn({ err: error }, "scheduler not set");
    }
  };
}

type Webhooks = { readonly secrets: readonly string[]; readonly feeder: DebouncedFeed };

function serveWebhooks(app: Hono, fetcher: Fetcher, { secrets, feeder }: Webhooks): void {
  const { log } = fetcher;
  addWebhookRoute(app, {
    secrets,
    log,
    metrics: fetcher.metrics,
    async receive(delivery) {
      const outcome = await receiveDelivery(fetcher, delivery);
      if (outcome === "recorded") feeder.request();
      return outcome;
    },
  });
}

/** Records stored deliveries and sweeps missed ones; called periodically. */
function processDeliveries(fetcher: Fetcher, feeder: DebouncedFeed, stopping: AbortSignal): () => Promise<void> {
  let sweepDueAt = 0;
  let sweptUntil: Date | undefined;
  return async () => {
    try {
      if ((await recordStoredDeliveries(fetcher)) > 0) feeder.request();
      if (performance.now() < sweepDueAt) return;
      sweepDueAt = performance.now() + sweepEveryMs;
      ({ sweptUntil } = await sweepDeliveries(fetcher, { signal: stopping, sweptUntil }));
    } catch (error) {
      if (!stopping.aborted) fetcher.log.warn({ err: error }, "deliveries not swept");
    }
  };
}

type Work = {
  readonly fetcher: Fetcher;
  readonly feeder: DebouncedFeed;
  readonly scheduler: Producer<"fetch">;
  readonly stopping: AbortSignal;
};

function fetchWork({ fetcher, feeder, scheduler, stopping }: Work): Handler<"fetch"> {
  return async (payload, { signal }) => {
    if (payload.kind === "tick") {
      await tick(fetcher, scheduler);
      feeder.request();
      return;
    }
    // The first poll can take hours. What it listed is kept, so it is aborted at once when the process stops.
    const either = AbortSignal.any([signal, stopping]);
    try {
      if (payload.kind === "poll") await pollRepository(fetcher, payload.repository_id, { isFullPass: false, signal: either });
      else await backfillRepository(fetcher, payload, { signal: either });
      feeder.request();
    } catch (error) {
      if (stopping.aborted) return;
      // The ledger has the problem and the time of the next poll, so the queue does not retry.
      if (!(error instanceof RateLimitedError) && !(error instanceof PermanentError)) throw error;
    }
  };
}

async function tick(fetcher: Fetcher, scheduler: Producer<"fetch">): Promise<void> {
  const [polls, backfills] = await Promise.all([
    listDueRepositories(fetcher.db, duePollsAtOnce),
    listDueBackfills(fetcher.db, backfillsAtOnce),
  ]);
  await scheduler.add([
    ...polls.map((repository_id) => ({ kind: "poll", repository_id }) as const),
    ...backfills.map((ref) => ({ kind: "backfill", ...ref }) as const),
  ]);
}
