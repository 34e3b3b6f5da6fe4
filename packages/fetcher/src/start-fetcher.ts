// Opens what the fetcher needs, and runs it by the clock: repositories that are due are polled, the queues are fed.

import { openArchive } from "@actions-archive/archive/open-archive";
import { PermanentError, RateLimitedError } from "@actions-archive/core/errors";
import { createHealthApp, createMetrics, listen } from "@actions-archive/core/health";
import { Consumer, type Handler, Producer, type QueueSettings } from "@actions-archive/core/queue";
import { checkQueueEngine } from "@actions-archive/core/queue-engine";
import type { Service } from "@actions-archive/core/service";
import { githubHost } from "@actions-archive/core/settings";
import { openDatabaseBudget } from "@actions-archive/database/credentials";
import { claimIdentity, findIdentity } from "@actions-archive/database/identity";
import { openLedger } from "@actions-archive/database/open-ledger";
import { listDueRepositories } from "@actions-archive/database/repositories";
import { openGitHubFrom } from "@actions-archive/github/open-from-settings";

import type { FetcherConfig } from "./config.ts";
import { feed } from "./feed.ts";
import type { Fetcher } from "./fetcher.ts";
import { pollRepository } from "./poll-repository.ts";
import { selectRepositories } from "./select-repositories.ts";

/** The feeder's clock; polls themselves are POLL_INTERVAL_SECONDS apart. */
const tickSeconds = 2;
/** A flushed Redis forgets its schedulers, so each replica says again what it wants. */
const superviseEveryMs = 30_000;
const selectEveryMs = 10 * 60_000;
const pollsAtOnce = 4;
const duePollsAtOnce = 100;

export type OpenFetcher = { readonly fetcher: Fetcher; readonly queue: QueueSettings };

/** Opens the fetcher without its clock. @throws ConfigError when an engine is refused. */
export async function openFetcher(
  config: FetcherConfig,
  { log, resources }: Pick<Service, "log" | "resources">,
): Promise<OpenFetcher> {
  const host = githubHost(config.GITHUB_API_URL, config.GITHUB_HOST);
  const { db, ping } = resources.use(
    await openLedger({ url: config.DATABASE_URL.href, applicationName: "actions-archive fetcher", log }),
  );
  const { identity } = resources.use(await openArchive(config, { host, archiveId: (await findIdentity(db))?.archive_id }));
  await claimIdentity(db, identity);
  await checkQueueEngine(config.QUEUE_URL);
  const github = resources.use(
    openGitHubFrom(config, { budget: openDatabaseBudget(db, { reservePercent: config.GITHUB_RESERVE_PERCENT }), log }),
  );
  const queue = { url: config.QUEUE_URL, archiveId: identity.archive_id, host };
  const archiveQueue = resources.use(new Producer("archive", queue, log));
  const loadQueue = resources.use(new Producer("load", queue, log));
  if (config.PORT !== undefined) resources.use(await listen(createHealthApp({ ready: ping }, createMetrics()), config.PORT));
  return { fetcher: { db, github, archiveQueue, loadQueue, log, settings: config }, queue };
}

/** Returns once the fetcher runs by the clock; `resources` end it. @throws ConfigError when an engine is refused. */
export async function startFetcher(
  config: FetcherConfig,
  service: Pick<Service, "log" | "resources" | "stopping">,
): Promise<void> {
  const { log, resources, stopping } = service;
  const { fetcher, queue } = await openFetcher(config, service);
  const clock = resources.use(new Producer("fetch", queue, log));
  const supervise = async () => {
    try {
      await clock.schedule({ kind: "tick" }, tickSeconds);
    } catch (error) {
      log.warn({ err: error }, "clock not set");
    }
  };
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
  await select();
  await supervise();
  resources.use(every(superviseEveryMs, supervise));
  resources.use(every(superviseEveryMs, select));
  const drainMs = Math.max(1, config.SHUTDOWN_GRACE_SECONDS - 5) * 1000;
  resources.use(
    new Consumer("fetch", queue, fetchWork(fetcher, clock, stopping), { concurrency: pollsAtOnce + 1, drainMs, log }),
  );
}

function fetchWork(fetcher: Fetcher, clock: Producer<"fetch">, stopping: AbortSignal): Handler<"fetch"> {
  return async (payload, { signal }) => {
    if (payload.kind === "tick") {
      const due = await listDueRepositories(fetcher.db, duePollsAtOnce);
      await clock.add(due.map((repository_id) => ({ kind: "poll", repository_id })));
      await feed(fetcher);
      return;
    }
    // A poll can take hours on the first start; what it has listed is kept, so it ends at once when the process must.
    const either = AbortSignal.any([signal, stopping]);
    try {
      await pollRepository(fetcher, payload.repository_id, { isFullPass: false, signal: either });
      await feed(fetcher);
    } catch (error) {
      if (stopping.aborted) return;
      // The ledger knows the problem and when the next poll is due: the queue need not try again.
      if (!(error instanceof RateLimitedError) && !(error instanceof PermanentError)) throw error;
    }
  };
}

function every(intervalMs: number, run: () => Promise<void>): Disposable {
  const timer = setInterval(() => void run(), intervalMs);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
