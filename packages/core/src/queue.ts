// BullMQ on Redis or Postgres behind two small classes. Only this file converts the archive's errors to BullMQ's, and handles its
// pitfalls: error listeners, stalls, late rate limits, a close that never returns.

import {
  DelayedError,
  type Job,
  Queue,
  type QueueOptions,
  UnrecoverableError,
  Worker,
  type WorkerOptions,
  withBackend,
} from "bullmq";
import { Redis } from "ioredis";

import { createBullmqPostgresBackend } from "./bullmq-postgres-backend.ts";
import { PermanentError, RateLimitedError } from "./errors.ts";
import type { Logger } from "./logger.ts";
import { maxStalledCount, type Payload, queueId, type StageName, stages } from "./stages.ts";

/** Postgres schema of the queue's tables. */
export const queueSchema = "queue";

/** A dead worker's job is taken over within lock duration + stalled interval: under a minute. */
const lockDurationMs = 25_000;
const stalledIntervalMs = 15_000;

/** No stage backs off for longer; work that must wait longer waits in the ledger. */
const maxDelayMs = 10 * 60_000;
/** Maximum number of entries that are listed and removed at a time. */
const prunePage = 1_000;

export type QueueSettings = {
  /** redis://, rediss:// or postgres:// */
  readonly url: URL;
  /** Part of the queue's name, with the host, so that two archives never share a queue. */
  readonly archiveId: string;
  readonly host: string;
};

export type Delivery = {
  /** Aborts when the worker must stop: at the shutdown deadline, or when its lock was lost. Pass it to every request and store call. */
  readonly signal: AbortSignal;
  /** From 1; waiting for a rate limit uses none. */
  readonly attempt: number;
  readonly isLastAttempt: boolean;
};

/** Must be idempotent: it may run twice for one payload, concurrently in two processes. */
export type Handler<S extends StageName> = (payload: Payload<S>, delivery: Delivery) => Promise<void>;

export type PruneResult = { readonly wasPaused: boolean; readonly removed: number };

export type QueueCounts = { readonly waiting: number; readonly active: number; readonly delayed: number };

/** Adds work to one stage. */
export class Producer<S extends StageName> implements AsyncDisposable {
  readonly #stage: S;
  readonly #queue: Queue;
  readonly #disconnect: () => void;
  #isClosing = false;

  constructor(stage: S, settings: QueueSettings, log: Logger) {
    const { Queue: EngineQueue, options, disconnect } = engineOf(stage, settings, "producer");
    this.#stage = stage;
    this.#disconnect = disconnect;
    const { attempts, backoffMs } = stages[stage];
    const name = queueNameOf(stage, settings);
    this.#queue = new EngineQueue(name, {
      ...options,
      defaultJobOptions: {
        attempts,
        backoff: { type: "exponential", delay: backoffMs, jitter: 0.5 },
        // The ledger stores outcomes; a kept job would block the next one with the same id (taskforcesh/bullmq#941).
        removeOnComplete: true,
        removeOnFail: true,
      },
    });
    // Errors of connections that are being closed are expected.
    this.#queue.on("error", (error) => this.#isClosing || log.warn({ err: error, queue: name }, "queue connection failed"));
  }

  /** Adds work. Idempotent while the same work waits or runs. */
  async add(payloads: readonly Payload<S>[]): Promise<void> {
    if (payloads.length === 0) return;
    await this.#queue.addBulk(payloads.map((data) => ({ name: this.#stage, data, opts: { jobId: queueId(this.#stage, data) } })));
  }

  /** Adds `payload` every `everySeconds`. Idempotent; each supervisor calls it again, since a flush of Redis removes it. */
  async schedule(payload: Payload<S>, everySeconds: number): Promise<void> {
    const id = queueId(this.#stage, payload);
    await this.#queue.upsertJobScheduler(id, { every: everySeconds * 1000 }, { name: this.#stage, data: payload });
  }

  async counts(): Promise<QueueCounts> {
    const counts = await this.#queue.getJobCounts("waiting", "prioritized", "active", "delayed");
    return {
      waiting: (counts["waiting"] ?? 0) + (counts["prioritized"] ?? 0),
      active: counts["active"] ?? 0,
      delayed: counts["delayed"] ?? 0,
    };
  }

  /** Resolves while the engine answers. While Redis is away, it waits for Redis: bound the wait. */
  async ping(): Promise<void> {
    await this.#queue.getJobCounts("active");
  }

  /** The ids (from `queueId`) of all work that waits, runs or is delayed. */
  async ids(): Promise<string[]> {
    return this.#queue.getRanges(["waiting", "prioritized", "active", "delayed"], 0, -1);
  }

  /**
   * Removes what prevents work from running and the archive itself never leaves behind: a pause, a limit, and entries that never run but
   * block new entries with their id. The ledger has all owed work, which is added again. Idempotent; any process may call it at any time.
   * @param now the database's time: an entry's time comes from the clock of the process that delayed it, which may be years off.
   */
  async prune(now: Date): Promise<PruneResult> {
    const wasPaused = await this.#queue.isPaused();
    await this.#queue.removeGlobalConcurrency();
    await this.#queue.removeGlobalRateLimit();
    if (wasPaused) await this.#queue.resume();
    for (let removed = 0; ;) {
      const parked = await this.#parked(now);
      const outcomes = await Promise.all(parked.map((id) => this.#remove(id)));
      const gone = outcomes.filter((isGone) => isGone).length;
      removed += gone;
      if (gone < prunePage) return { wasPaused, removed };
    }
  }

  // The archive's own entries have no priority and no children, and are removed when they complete or fail.
  async #parked(now: Date): Promise<string[]> {
    const latest = now.getTime() + maxDelayMs;
    const [parked, soon] = await Promise.all([
      this.#queue.getRanges(["failed", "completed", "waiting-children", "prioritized"], 0, prunePage - 1),
      this.#queue.getDelayedCount(latest),
    ]);
    return [...parked, ...(await this.#queue.getRanges(["delayed"], soon, soon + prunePage - 1, true))];
  }

  // A scheduler's next entry is removed with the scheduler, which its owner sets again.
  async #remove(id: string): Promise<boolean> {
    const scheduler = /^repeat:(.+):\d+$/.exec(id)?.[1];
    if (scheduler !== undefined && (await this.#queue.removeJobScheduler(scheduler))) return true;
    return (await this.#queue.remove(id, { removeChildren: false })) > 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosing = true;
    await closeWithin(this.#queue, 5_000);
    this.#disconnect();
  }
}

export type ConsumerOptions = {
  readonly concurrency: number;
  /** How long a stop waits for running work before it is cancelled and goes back to the queue. */
  readonly drainMs: number;
  readonly log: Logger;
};

/** Takes work from one stage. Disposing it takes no more work and waits for running work. */
export class Consumer<S extends StageName> implements AsyncDisposable {
  readonly #worker: Worker;
  readonly #disconnect: () => void;
  readonly #drainMs: number;
  #isClosing = false;

  constructor(stage: S, settings: QueueSettings, handler: Handler<S>, { concurrency, drainMs, log }: ConsumerOptions) {
    const { Worker: EngineWorker, options, disconnect } = engineOf(stage, settings, "consumer");
    const name = queueNameOf(stage, settings);
    this.#drainMs = drainMs;
    this.#disconnect = disconnect;
    this.#worker = new EngineWorker(name, (job, token, signal) => deliver(stage, handler, job, token, signal), {
      ...options,
      concurrency,
      lockDuration: lockDurationMs,
      stalledInterval: stalledIntervalMs,
      maxStalledCount,
    });
    this.#worker.on("error", (error) => this.#isClosing || log.warn({ err: error, queue: name }, "queue connection failed"));
    this.#worker.on("stalled", (id) => log.warn({ queueId: id, queue: name }, "work of a dead worker taken over"));
    this.#worker.on("lockRenewalFailed", (ids) => {
      for (const id of ids) this.#worker.cancelJob(id, "the lock was lost");
    });
    this.#worker.on("failed", (job, error) =>
      log.warn({ err: error, queueId: job?.id, queue: name, attempt: job?.attemptsMade }, "work failed"),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosing = true;
    const cancel = setTimeout(() => this.#worker.cancelAllJobs("shutting down"), this.#drainMs);
    // worker.close() never returns while Redis is away (taskforcesh/bullmq#4656), so it races a deadline of its own.
    await closeWithin(this.#worker, this.#drainMs + 3_000);
    clearTimeout(cancel);
    this.#disconnect();
  }
}

async function deliver<S extends StageName>(
  stage: S,
  handler: Handler<S>,
  job: Job,
  token?: string,
  signal?: AbortSignal,
): Promise<void> {
  const payload = stages[stage].payload.safeParse(job.data);
  if (!payload.success) throw new UnrecoverableError(`queue ${stage}: unknown message: ${payload.error.message}`);
  const attempt = job.attemptsMade + 1;
  try {
    // Schema and handler belong to the same stage, which TypeScript cannot infer through the table.
    await handler(payload.data as Payload<S>, {
      signal: signal ?? new AbortController().signal,
      attempt,
      // The stage's number and not the message's: a forged message could make the first error the last.
      isLastAttempt: attempt >= stages[stage].attempts,
    });
  } catch (error) {
    if (error instanceof RateLimitedError) {
      await job.moveToDelayed(error.retryAt.getTime(), token);
      throw new DelayedError(error.message);
    }
    if (error instanceof PermanentError) throw new UnrecoverableError(error.message);
    throw error;
  }
}

// Queues in Postgres have no prefix, so the name contains the archive.
function queueNameOf(stage: StageName, { url, archiveId, host }: QueueSettings): string {
  return isRedis(url) ? stage : `${archiveId}/${host.replaceAll(":", "-")}/${stage}`;
}

function isRedis(url: URL): boolean {
  return url.protocol === "redis:" || url.protocol === "rediss:";
}

function engineOf(stage: StageName, { url, archiveId, host }: QueueSettings, role: "producer" | "consumer") {
  if (!isRedis(url)) {
    const classes = withBackend(createBullmqPostgresBackend);
    const connection = {
      connectionString: url.href,
      schema: queueSchema,
      max: 4,
      application_name: `actions-archive ${stage} ${role}`,
    };
    return {
      Queue: classes.Queue as unknown as QueueClass,
      Worker: classes.Worker as unknown as WorkerClass,
      options: { connection },
      disconnect: () => undefined,
    };
  }
  const connection = new Redis(url.href, { maxRetriesPerRequest: role === "consumer" ? null : 2, connectTimeout: 5_000 });
  return {
    Queue: Queue as QueueClass,
    Worker: Worker as unknown as WorkerClass,
    options: { connection, prefix: `actions-archive:${archiveId}:${host}` },
    disconnect: () => connection.disconnect(),
  };
}

// The engines' classes differ only in the type of their connection, which callers of this function do not use.
type QueueClass = new (name: string, options: QueueOptions) => Queue;
type WorkerClass = new (
  name: string,
  processor: (job: Job, token?: string, signal?: AbortSignal) => Promise<void>,
  options: WorkerOptions,
) => Worker;

async function closeWithin(closable: { close(force?: boolean): Promise<void> }, deadlineMs: number): Promise<void> {
  const { promise: deadline, resolve } = Promise.withResolvers<"late">();
  const timer = setTimeout(() => resolve("late"), deadlineMs);
  const outcome = await Promise.race([closable.close(), deadline]);
  clearTimeout(timer);
  if (outcome === "late") await Promise.race([closable.close(true), new Promise((done) => setTimeout(done, 1_000))]);
}
