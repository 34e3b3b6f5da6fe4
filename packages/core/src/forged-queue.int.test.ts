// A queue with foreign entries or wrong clocks: no entry may prevent work from being done. One
// suite for both engines, with BullMQ itself as the forger.

import { randomUUID } from "node:crypto";

import { requireRedis } from "@actions-archive/testkit/require-redis";
import { createTestDatabase } from "@actions-archive/testkit/test-database";
import { createPostgresBackend, type JobsOptions, Queue, withBackend } from "bullmq";
import { Redis } from "ioredis";
import { describe, test, vi } from "vitest";

import { TransientError } from "./errors.ts";
import { createLogger } from "./logger.ts";
import { migrateQueue } from "./queue-engine.ts";
import { Consumer, type Delivery, Producer, queueSchema, type QueueSettings } from "./queue.ts";
import { queueId } from "./stages.ts";

const log = createLogger("test", "silent");
const waitOptions = { timeout: 15_000, interval: 20 };
const work = { job_id: 71 };
const id = queueId("archive", work);
const yearMs = 365 * 24 * 3_600_000;

const engines = [
  { engine: "Redis", openForger: openRedisForger },
  { engine: "Postgres", openForger: openPostgresForger },
];

type Forger = AsyncDisposable & { readonly queue: QueueSettings; readonly forged: Queue };

async function openRedisForger(): Promise<Forger> {
  const queue = { url: new URL(requireRedis().url), archiveId: randomUUID(), host: "github.com" };
  const connection = new Redis(queue.url.href, { maxRetriesPerRequest: 2 });
  const forged = new Queue("archive", { connection, prefix: `actions-archive:${queue.archiveId}:github.com` });
  return {
    queue,
    forged,
    async [Symbol.asyncDispose]() {
      await forged.close();
      connection.disconnect();
    },
  };
}

async function openPostgresForger(): Promise<Forger> {
  const url = new URL(await createTestDatabase({ migrated: false }));
  await migrateQueue(url);
  const queue = { url, archiveId: randomUUID(), host: "github.com" };
  const connection = { connectionString: url.href, schema: queueSchema };
  const { Queue: PostgresQueue } = withBackend(createPostgresBackend);
  // It differs from Redis' in the type of its connection alone.
  const forged = new PostgresQueue(`${queue.archiveId}/github.com/archive`, { connection }) as unknown as Queue;
  return { queue, forged, [Symbol.asyncDispose]: () => forged.close() };
}

type Harness = AsyncDisposable & {
  readonly forged: Queue;
  readonly producer: Producer<"archive">;
  readonly deliveries: Delivery[];
  /** Takes work; its first `failures` tries fail. */
  readonly consume: (failures?: number) => void;
  /** A foreign entry with the id of the archive's work. */
  readonly forge: (options: JobsOptions, data?: object) => Promise<void>;
};

async function openHarness(openForger: () => Promise<Forger>): Promise<Harness> {
  await using resources = new AsyncDisposableStack();
  const { queue, forged } = resources.use(await openForger());
  const producer = resources.use(new Producer("archive", queue, log));
  const deliveries: Delivery[] = [];
  const opened = resources.move();
  return {
    forged,
    producer,
    deliveries,
    consume(failures = 0) {
      const handle = async (_payload: object, delivery: Delivery) => {
        deliveries.push(delivery);
        if (deliveries.length <= failures) throw new TransientError("store/unavailable", "not now");
      };
      opened.use(new Consumer("archive", queue, handle, { concurrency: 1, drainMs: 1_000, log }));
    },
    async forge(options, data = work) {
      await forged.add("archive", data, { jobId: id, ...options });
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

describe.concurrent.each(engines)("a forged queue on $engine", ({ openForger }) => {
  test("an entry that waits for years gives its place to the work that is owed", async ({ expect }) => {
    await using harness = await openHarness(openForger);
    harness.consume();
    await harness.forge({ delay: 10 * yearMs });
    expect(await harness.producer.ids()).toEqual([id]);
    expect(await harness.producer.prune(new Date())).toEqual({ wasPaused: false, removed: 1 });
    expect(await harness.producer.ids()).toEqual([]);
    await harness.producer.add([work]);
    await vi.waitFor(() => expect(harness.deliveries).toHaveLength(1), waitOptions);
  });

  test("an entry whose time is that of a clock two hours ahead does so too, and a back-off stays", async ({ expect }) => {
    await using harness = await openHarness(openForger);
    const now = Date.now();
    await harness.forge({ delay: 5_000, timestamp: now + 2 * 3_600_000 });
    await harness.forged.add("archive", { job_id: 72 }, { jobId: "archive-72", delay: 120_000 });
    expect(await harness.producer.prune(new Date(now))).toEqual({ wasPaused: false, removed: 1 });
    expect(await harness.producer.ids()).toEqual(["archive-72"]);
    // Whose own clock is wrong does no harm: the time is the database's.
    expect(await harness.producer.prune(new Date(now - 2 * 3_600_000))).toEqual({ wasPaused: false, removed: 1 });
  });

  test("an entry that failed and was kept swallows its work no longer", async ({ expect }) => {
    await using harness = await openHarness(openForger);
    harness.consume();
    await harness.forge({ removeOnFail: false }, { job_id: "garbage" });
    await vi.waitFor(async () => expect(await harness.forged.getFailedCount()).toBe(1), waitOptions);
    await harness.producer.add([work]);
    expect(await harness.producer.ids()).toEqual([]);
    expect(await harness.producer.prune(new Date())).toEqual({ wasPaused: false, removed: 1 });
    await harness.producer.add([work]);
    await vi.waitFor(() => expect(harness.deliveries).toHaveLength(1), waitOptions);
  });

  test("an entry that was done and was kept swallows its work no longer", async ({ expect }) => {
    await using harness = await openHarness(openForger);
    harness.consume();
    await harness.forge({ removeOnComplete: false });
    await vi.waitFor(async () => expect(await harness.forged.getCompletedCount()).toBe(1), waitOptions);
    expect(await harness.producer.prune(new Date())).toEqual({ wasPaused: false, removed: 1 });
    await harness.producer.add([work]);
    await vi.waitFor(() => expect(harness.deliveries).toHaveLength(2), waitOptions);
  });

  test("an entry that lets all others go first gives its place to the work that is owed", async ({ expect }) => {
    await using harness = await openHarness(openForger);
    await harness.forge({ priority: 1_000_000 });
    expect(await harness.producer.prune(new Date())).toEqual({ wasPaused: false, removed: 1 });
    expect(await harness.producer.ids()).toEqual([]);
  });

  test("more entries than one page are removed by one call", async ({ expect }) => {
    await using harness = await openHarness(openForger);
    const entries = Array.from({ length: 2_500 }, (_, index) => ({
      name: "archive",
      data: {},
      opts: { jobId: `archive-${1_000 + index}`, delay: 10 * yearMs },
    }));
    await harness.forged.addBulk(entries);
    expect(await harness.producer.prune(new Date())).toEqual({ wasPaused: false, removed: 2_500 });
    expect(await harness.producer.counts()).toEqual({ waiting: 0, active: 0, delayed: 0 });
  });

  test("a queue that was paused runs again", async ({ expect }) => {
    await using harness = await openHarness(openForger);
    await harness.forged.pause();
    harness.consume();
    await harness.producer.add([work]);
    expect(await harness.producer.prune(new Date())).toEqual({ wasPaused: true, removed: 0 });
    await vi.waitFor(() => expect(harness.deliveries).toHaveLength(1), waitOptions);
    expect(await harness.producer.prune(new Date())).toEqual({ wasPaused: false, removed: 0 });
  });

  test("a queue that may run nothing at once, or nothing this year, runs again", async ({ expect }) => {
    await using harness = await openHarness(openForger);
    await harness.forged.setGlobalConcurrency(0);
    await harness.forged.setGlobalRateLimit(1, yearMs);
    await harness.forged.rateLimit(yearMs);
    await harness.producer.add([work]);
    await harness.producer.prune(new Date());
    harness.consume();
    await vi.waitFor(() => expect(harness.deliveries).toHaveLength(1), waitOptions);
  });

  test("a message cannot change how often its work is tried", async ({ expect }) => {
    await using harness = await openHarness(openForger);
    harness.consume(1);
    await harness.forge({ attempts: 1, removeOnFail: true });
    await vi.waitFor(async () => expect(await harness.producer.ids()).toEqual([]), waitOptions);
    expect(harness.deliveries.map(({ isLastAttempt }) => isLastAttempt)).toEqual([false]);
    await harness.forge({ attempts: 1_000_000, backoff: 0 });
    await vi.waitFor(async () => expect(await harness.producer.ids()).toEqual([]), waitOptions);
    expect(harness.deliveries.map(({ attempt, isLastAttempt }) => [attempt, isLastAttempt])).toEqual([
      [1, false],
      [1, false],
    ]);
  });

  test("a clock that was set for next year ticks again", async ({ expect }) => {
    await using harness = await openHarness(openForger);
    await harness.forged.upsertJobScheduler(
      id,
      { every: 1_000, startDate: Date.now() + yearMs },
      { name: "archive", data: work, opts: { removeOnComplete: true } },
    );
    await harness.producer.schedule(work, 1);
    harness.consume();
    await harness.producer.prune(new Date());
    await harness.producer.schedule(work, 1);
    await vi.waitFor(() => expect(harness.deliveries.length).toBeGreaterThan(1), waitOptions);
  });
});
