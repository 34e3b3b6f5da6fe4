// A fetcher with a simulated GitHub, a database and queues of its own.

import { randomUUID } from "node:crypto";

import { createLogger } from "@actions-archive/core/logger";
import { Producer, type QueueSettings } from "@actions-archive/core/queue";
import { openDatabaseBudget } from "@actions-archive/database/budget/credentials";
import { claimIdentity } from "@actions-archive/database/ledger/identity";
import { selectRepositories } from "@actions-archive/database/ledger/repositories";
import type { SimulatorOptions } from "@actions-archive/github-simulator/options";
import { type Simulator, startSimulator } from "@actions-archive/github-simulator/simulator";
import { openGitHub } from "@actions-archive/github/github";
import { parseLogHosts } from "@actions-archive/github/transport/log-hosts";
import { requireRedis } from "@actions-archive/testkit/require-redis";
import { withSimulatedClock } from "@actions-archive/testkit/simulated-clock";
import { openTestDatabase, type TestDatabase } from "@actions-archive/testkit/test-database";

import type { Fetcher, FetcherSettings } from "../src/fetcher.ts";
import { pollRepository } from "../src/poll/poll-repository.ts";

export type Harness = AsyncDisposable & {
  readonly simulator: Simulator;
  readonly fetcher: Fetcher;
  readonly queue: QueueSettings;
  readonly pool: TestDatabase["pool"];
  /** Creates `owner/name` at the simulated GitHub and selects only it. */
  readonly addRepository: (fullName: string) => Promise<number>;
  /** Polls a repository; a full pass by default. */
  readonly poll: (repositoryId: number, isFullPass?: boolean) => ReturnType<typeof pollRepository>;
  /** Runs a query and returns its rows. */
  readonly query: (sql: string) => Promise<Record<string, unknown>[]>;
  /** Requested API paths with their queries since `clearJournal`. */
  readonly requests: () => string[];
};

export async function openHarness(options: SimulatorOptions = {}, settings: Partial<FetcherSettings> = {}): Promise<Harness> {
  await using resources = new AsyncDisposableStack();
  const simulator = resources.use(await startSimulator({ scenario: "empty", ...options }));
  const { db, pool } = resources.use(await openTestDatabase());
  const log = createLogger("test", "silent");
  const queue = { url: new URL(requireRedis().url), archiveId: randomUUID(), host: "github.com" };
  // The views are empty until the archive has an identity.
  await claimIdentity(db, { archive_id: queue.archiveId, host: queue.host });
  const archiveQueue = resources.use(new Producer("archive", queue, log));
  const loadQueue = resources.use(new Producer("load", queue, log));
  const github = resources.use(
    openGitHub({
      apiUrl: new URL(simulator.apiUrl),
      credentials: { kind: "token", token: simulator.token },
      logHosts: parseLogHosts(simulator.logOrigin),
      budget: withSimulatedClock(openDatabaseBudget(db, { reservePercent: 0 }), simulator.clock),
      log,
    }),
  );
  const fetcher = {
    db,
    github,
    archiveQueue,
    loadQueue,
    log,
    settings: { POLL_INTERVAL_SECONDS: 60, RUN_SETTLE_SECONDS: 0, ...settings },
  };
  const opened = resources.move();
  return {
    simulator,
    fetcher,
    queue,
    pool,
    async addRepository(full_name) {
      const { id } = simulator.control.addRepository({ repository: full_name });
      await selectRepositories(db, [{ repository_id: id, full_name, is_private: false }]);
      return id;
    },
    poll: (repositoryId, isFullPass = true) =>
      pollRepository(fetcher, repositoryId, { isFullPass, signal: AbortSignal.timeout(20_000) }),
    async query(sql) {
      return (await pool.query<Record<string, unknown>>(sql)).rows;
    },
    requests: () => simulator.journal.entries({ origin: "api" }).map(({ url }) => decodeURIComponent(url)),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}
