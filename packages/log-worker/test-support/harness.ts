// A log-worker with a simulated GitHub, and a database, a folder store, a spool and a queue of its own.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

import { openSpool } from "@actions-archive/archive/log/spool";
import { openArchive } from "@actions-archive/archive/open-archive";
import type { StoreSettings } from "@actions-archive/archive/open-store";
import type { LogRecord } from "@actions-archive/archive/record/record";
import { findRecord } from "@actions-archive/archive/record/records";
import type { Store } from "@actions-archive/archive/store/store";
import { withMethods } from "@actions-archive/archive/test-support/changed-store";
import { createLogger } from "@actions-archive/core/logger";
import { Producer } from "@actions-archive/core/queue";
import { openDatabaseBudget } from "@actions-archive/database/budget/credentials";
import { type JobSnapshot, recordJobs } from "@actions-archive/database/ledger/log-jobs";
import { selectRepositories } from "@actions-archive/database/ledger/repositories";
import type { SimulatorOptions } from "@actions-archive/github-simulator/options";
import { type Simulator, startSimulator } from "@actions-archive/github-simulator/simulator";
import { Builder } from "@actions-archive/github-simulator/world/builder";
import type { Job, Repository } from "@actions-archive/github-simulator/world/model";
import { getJob } from "@actions-archive/github/endpoints/workflow-jobs";
import { openGitHub } from "@actions-archive/github/github";
import { parseLogHosts } from "@actions-archive/github/transport/log-hosts";
import { requireRedis } from "@actions-archive/testkit/require-redis";
import { withSimulatedClock } from "@actions-archive/testkit/simulated-clock";
import { openTestDatabase, type TestDatabase } from "@actions-archive/testkit/test-database";
import { vi } from "vitest";

import { archiveLog } from "../src/archive-log.ts";
import { LogLeases } from "../src/log-leases.ts";
import type { LogWorker, LogWorkerSettings } from "../src/log-worker.ts";
import { RwLock } from "../src/rw-lock.ts";

export const repositoryName = "acme/app";
export const host = "github.com";
/** Longer than LOG_WAIT_SECONDS, so that no test waits. */
export const longAgoMs = 3_600_000;

export type JobAt = Parameters<Builder["job"]>[1] & {
  /** How long ago it was created; it ran for a minute. */
  readonly agoMs?: number;
  readonly isWithoutRunner?: boolean;
};

export type State = {
  readonly log_state: string;
  readonly log_reason: string | null;
  readonly log_detail: string | null;
  readonly tries: number;
  /** Seconds from now. */
  readonly due: number;
};

export type Harness = AsyncDisposable & {
  readonly simulator: Simulator;
  readonly worker: LogWorker;
  readonly repository: Repository;
  /** Lines that the worker logged. */
  readonly lines: string[];
  /** Adds a job in a run of its own, at the simulated GitHub and in the ledger. */
  readonly addJob: (job?: Partial<JobAt>) => Promise<Job>;
  /** Records GitHub's job object in the ledger. */
  readonly see: (job: Job, listedAttempt?: number) => Promise<void>;
  /** Delivers a job as the queue does, as the first of five attempts by default. */
  readonly deliver: (job: Job, options?: { isLastAttempt?: boolean; signal?: AbortSignal }) => Promise<void>;
  /** Delivers a job twice, a minute of GitHub's clock apart, so that the second answer confirms the first. */
  readonly deliverTwice: (job: Job) => Promise<void>;
  /** Delivers a job to several workers, each of which presumes the previous one dead: all work on it concurrently. */
  readonly deliverInTurn: (job: Job, workers: number) => Promise<void>;
  readonly stateOf: (job: Job) => Promise<State>;
  readonly recordOf: (job: Job) => Promise<LogRecord | undefined>;
  /** Removes the job's records, as if the worker had crashed before writing them. */
  readonly forgetRecord: (job: Job) => Promise<void>;
  /** Keys of the objects in the store. */
  readonly listKeys: (prefix?: string) => Promise<string[]>;
  /** Paths requested from the API and the log host since the job was recorded. */
  readonly requests: () => string[];
  readonly query: (sql: string) => Promise<Record<string, unknown>[]>;
};

type DeliverySetup = { readonly worker: LogWorker; readonly pool: TestDatabase["pool"] };

export type HarnessOptions = {
  readonly simulator?: SimulatorOptions;
  readonly settings?: Partial<LogWorkerSettings>;
  readonly spoolBytes?: number;
  readonly spoolDir?: string;
  /** Instead of a folder of its own. */
  readonly archive?: StoreSettings;
};

export async function openHarness(options: HarnessOptions = {}): Promise<Harness> {
  await using resources = new AsyncDisposableStack();
  const { folder, simulator, worker, lines, pool } = resources.use(await openWorker(options));
  const { db, store, github } = worker;

  const sizes = { medianBytes: 5_000, tailShareOfLogs: 0, tailShareOfBytes: 0, capBytes: 10_000 };
  const builder = new Builder(simulator.world, 1, sizes);
  const repository = builder.repository(builder.owner("acme"), "app");
  await selectRepositories(db, [{ repository_id: repository.id, full_name: repositoryName, is_private: false }]);
  const refOf = (job: Job) => ({ repository_id: repository.id, run_id: job.run.id, job_id: job.id });
  const see = async (job: Job, listedAttempt = job.attempt) => {
    const { data } = await getJob(github, { repository: repositoryName, jobId: job.id });
    const snapshot: JobSnapshot = { object: data, source: "get", listedAttempt };
    await recordJobs(db, repository.id, [snapshot]);
    simulator.control.clearJournal({});
  };
  const listKeys = async (prefix = "") => (await Array.fromAsync(store.list(prefix))).map(({ key }) => key);
  const deliver: Harness["deliver"] = async (job, { isLastAttempt = false, signal = AbortSignal.timeout(20_000) } = {}) => {
    await archiveLog(worker)({ job_id: job.id }, { signal, attempt: isLastAttempt ? 5 : 1, isLastAttempt });
  };
  const opened = resources.move();
  return {
    simulator,
    worker,
    repository,
    lines,
    see,
    listKeys,
    async addJob({ agoMs = longAgoMs, isWithoutRunner = false, ...draft } = {}) {
      const createdAtMs = Math.floor((Date.now() - agoMs - 65_000) / 1000) * 1000;
      const run = builder.run({ repository, createdAtMs });
      const { conclusion, ...facts } = { name: "build", ...draft };
      const job = isWithoutRunner
        ? builder.jobWithoutRunner(run, { ...facts, conclusion: conclusion ?? "failure" })
        : builder.job(run, { queueMs: 5_000, durationMs: 59_000, ...facts, conclusion: conclusion ?? "success" });
      await see(job);
      return job;
    },
    deliver,
    async deliverTwice(job) {
      await deliver(job);
      simulator.control.advanceClock({ ms: 60_000 });
      await deliver(job);
    },
    deliverInTurn: (job, workers) => deliverInTurn({ worker, pool }, job, workers),
    async stateOf(job) {
      const { rows } = await pool.query<State>(
        `select log_state, log_reason, log_detail, tries, extract(epoch from due_at - now())::float8 as due
        from archive.log_jobs where job_id = $1`,
        [job.id],
      );
      const [state] = rows;
      if (state === undefined) throw new Error(`no job ${job.id}`);
      return state;
    },
    async recordOf(job) {
      return (await findRecord(store, host, refOf(job)))?.record;
    },
    async forgetRecord(job) {
      const runFolder = join(folder, "archive", "records", host, String(repository.id), String(job.run.id));
      await rm(runFolder, { recursive: true, force: true });
      await pool.query("update archive.log_jobs set record_key = null, due_at = now() where job_id = $1", [job.id]);
    },
    requests: () => simulator.journal.entries().map(({ origin, url }) => `${origin} ${url.split("?")[0]}`),
    async query(sql) {
      return (await pool.query<Record<string, unknown>>(sql)).rows;
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

async function deliverInTurn({ worker, pool }: DeliverySetup, { id: job_id }: Job, workers: number): Promise<void> {
  await using logLeases = new AsyncDisposableStack();
  const holders = new Set<string>();
  const deliveries: Promise<void>[] = [];
  // Puts are held back: otherwise a worker would finish before the next one starts, and leave nothing to take over.
  const { promise: allStarted, resolve: releasePuts } = Promise.withResolvers<void>();
  const store = holdPuts(worker.store, allStarted);
  while (deliveries.length < workers) {
    await pool.query("update archive.log_leases set leased_until = null where job_id = $1", [job_id]);
    const handle = archiveLog({ ...worker, store, logLeases: logLeases.use(new LogLeases(worker)) });
    deliveries.push(handle({ job_id }, { signal: AbortSignal.timeout(20_000), attempt: 1, isLastAttempt: false }));
    await vi.waitFor(async () => {
      const [row] = (await pool.query<{ worker: string | null }>("select worker from archive.log_leases")).rows;
      if (!row?.worker || holders.has(row.worker)) throw new Error("the log is not taken over yet");
      holders.add(row.worker);
    }, 10_000);
  }
  releasePuts();
  await Promise.all(deliveries);
}

function holdPuts(store: Store, until: Promise<void>): Store {
  return withMethods(store, {
    async put(...about) {
      await until;
      return store.put(...about);
    },
  });
}

async function openWorker({
  simulator: options = {},
  settings = {},
  spoolBytes = 64 * 1024 ** 2,
  spoolDir,
  archive,
}: HarnessOptions) {
  await using resources = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "actions-archive-log-worker-"));
  resources.defer(() => rm(folder, { recursive: true, force: true }));
  const simulator = resources.use(await startSimulator({ scenario: "empty", ...options }));
  const { db, pool } = resources.use(await openTestDatabase());
  const lines: string[] = [];
  const log = createLogger("test", "debug", { write: (line) => void lines.push(line) });
  const archiveUrl = pathToFileURL(join(folder, "archive"));
  const opening = openArchive(archive ?? { ARCHIVE_URL: archiveUrl }, { host, archiveId: undefined });
  const { store, identity } = resources.use(await opening);
  const queue = { url: new URL(requireRedis().url), archiveId: identity.archive_id, host };
  const loadQueue = resources.use(new Producer("load", queue, log));
  const github = resources.use(
    openGitHub({
      apiUrl: new URL(simulator.apiUrl),
      credentials: { kind: "token", token: simulator.token },
      logHosts: parseLogHosts(simulator.logOrigin),
      budget: withSimulatedClock(openDatabaseBudget(db, { reservePercent: 0 }), simulator.clock),
      timeouts: { stallMs: 1_000 },
      log,
    }),
  );
  const limits = { LOG_WAIT_SECONDS: 600, LOG_SETTLE_SECONDS: 60, MAX_LOG_BYTES: 32 * 1024 ** 2, ...settings };
  const spool = await openSpool({ dir: spoolDir ?? join(folder, "spool"), maxBytes: spoolBytes });
  const logLeases = resources.use(new LogLeases({ db, log }));
  const worker: LogWorker = { logLeases, rwLock: new RwLock(), db, store, github, spool, loadQueue, host, log, settings: limits };
  const opened = resources.move();
  return { folder, simulator, worker, lines, pool, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}
