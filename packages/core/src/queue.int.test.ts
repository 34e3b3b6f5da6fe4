// One suite for both queue engines: effects of errors on a job, deduplication, and the end of work.

import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

import { requireRedis } from "@actions-archive/testkit/require-redis";
import { openTcpProxy } from "@actions-archive/testkit/tcp-proxy";
import { createTestDatabase } from "@actions-archive/testkit/test-database";
import { describe, test, vi } from "vitest";

import { PermanentError, RateLimitedError, TransientError } from "./errors.ts";
import { createLogger } from "./logger.ts";
import { checkQueueEngine, migrateQueue } from "./queue-engine.ts";
import { Consumer, type Delivery, type Handler, Producer, type QueueSettings } from "./queue.ts";
import type { Payload } from "./stages.ts";

const engines = [
  { engine: "Redis", openUrl: async () => new URL(requireRedis().url) },
  { engine: "Postgres", openUrl: async () => openPostgresQueue() },
];

const log = createLogger("test", "silent");
const waitOptions = { timeout: 15_000, interval: 20 };
const job = (job_id: number) => ({ kind: "job", job_id }) as const;

async function openPostgresQueue(): Promise<URL> {
  const url = new URL(await createTestDatabase({ migrated: false }));
  await migrateQueue(url);
  return url;
}

type Call = { readonly payload: Payload<"load">; readonly delivery: Delivery; readonly at: number };

type Harness = AsyncDisposable & {
  readonly queue: QueueSettings;
  readonly producer: Producer<"load">;
  readonly calls: Call[];
  /** Takes work with `handler`, which `calls` has seen before it runs. */
  readonly consume: (handler: Handler<"load">, drainMs?: number) => Consumer<"load">;
  /** Waits until nothing is queued, running or delayed. */
  readonly untilEmpty: () => Promise<void>;
};

async function openHarness(openUrl: () => Promise<URL>): Promise<Harness> {
  const resources = new AsyncDisposableStack();
  const queue = { url: await openUrl(), archiveId: randomUUID(), host: "github.com" };
  const producer = resources.use(new Producer("load", queue, log));
  const calls: Call[] = [];
  return {
    queue,
    producer,
    calls,
    consume: (handler, drainMs = 5_000) =>
      resources.use(
        new Consumer(
          "load",
          queue,
          async (payload, delivery) => {
            calls.push({ payload, delivery, at: Date.now() });
            await handler(payload, delivery);
          },
          { concurrency: 4, drainMs, log },
        ),
      ),
    untilEmpty: () =>
      vi.waitFor(async () => {
        const { waiting, active, delayed } = await producer.counts();
        if (waiting + active + delayed > 0) throw new Error("there is work in the queue");
      }, waitOptions),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

describe.concurrent.each(engines)("the queue on $engine", ({ openUrl }) => {
  test("a transient error is tried again, each try with its number", async ({ expect }) => {
    await using harness = await openHarness(openUrl);
    harness.consume(async (_payload, { attempt }) => {
      if (attempt < 3) throw new TransientError("store/unavailable", "not now");
    });
    await harness.producer.add([job(1)]);
    await vi.waitFor(() => expect(harness.calls).toHaveLength(3), waitOptions);
    await harness.untilEmpty();
    expect(harness.calls.map(({ delivery }) => delivery.attempt)).toEqual([1, 2, 3]);
    expect(harness.calls.map(({ delivery }) => delivery.isLastAttempt)).toEqual([false, false, false]);
  });

  test("a permanent error is not tried again", async ({ expect }) => {
    await using harness = await openHarness(openUrl);
    harness.consume(async () => {
      throw new PermanentError("store/corrupt", "never");
    });
    await harness.producer.add([job(1)]);
    await vi.waitFor(() => expect(harness.calls).toHaveLength(1), waitOptions);
    await harness.untilEmpty();
    expect(harness.calls).toHaveLength(1);
  });

  test("a rate limit delays the job until its time and spends no attempt", async ({ expect }) => {
    await using harness = await openHarness(openUrl);
    const retryAt = new Date(Date.now() + 1_200);
    harness.consume(async () => {
      if (harness.calls.length === 1) throw new RateLimitedError("too many requests", retryAt);
    });
    await harness.producer.add([job(1)]);
    await vi.waitFor(() => expect(harness.calls).toHaveLength(2), waitOptions);
    await harness.untilEmpty();
    expect(harness.calls.map(({ delivery }) => delivery.attempt)).toEqual([1, 1]);
    expect(harness.calls[1]?.at).toBeGreaterThanOrEqual(retryAt.getTime());
  });

  test("the same work is queued once while it waits, and again once it is done", async ({ expect }) => {
    await using harness = await openHarness(openUrl);
    await harness.producer.add([job(1), job(1), job(2)]);
    await harness.producer.add([job(2)]);
    expect(await harness.producer.counts()).toEqual({ waiting: 2, active: 0, delayed: 0 });
    harness.consume(async () => undefined);
    await vi.waitFor(() => expect(harness.calls).toHaveLength(2), waitOptions);
    await harness.untilEmpty();
    await harness.producer.add([job(1)]);
    await vi.waitFor(() => expect(harness.calls).toHaveLength(3), waitOptions);
    await harness.untilEmpty();
  });

  test("work that failed for good can be queued again", async ({ expect }) => {
    await using harness = await openHarness(openUrl);
    harness.consume(async () => {
      if (harness.calls.length === 1) throw new PermanentError("store/corrupt", "not this time");
    });
    await harness.producer.add([job(1)]);
    await vi.waitFor(() => expect(harness.calls).toHaveLength(1), waitOptions);
    await harness.untilEmpty();
    await harness.producer.add([job(1)]);
    await vi.waitFor(() => expect(harness.calls).toHaveLength(2), waitOptions);
    await harness.untilEmpty();
  });

  test("an unknown message reaches no handler and is not retried", async ({ expect }) => {
    await using harness = await openHarness(openUrl);
    await harness.producer.add([{ kind: "job", job_id: "1; drop table" } as never, { kind: "nonsense" } as never, job(7)]);
    harness.consume(async () => undefined);
    await vi.waitFor(() => expect(harness.calls).toHaveLength(1), waitOptions);
    await harness.untilEmpty();
    expect(harness.calls.map(({ payload }) => payload)).toEqual([job(7)]);
  });

  test("closing waits for running work and takes no more", async ({ expect }) => {
    await using harness = await openHarness(openUrl);
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    let isDone = false;
    const consumer = harness.consume(async () => {
      await released;
      isDone = true;
    });
    await harness.producer.add([job(1)]);
    await vi.waitFor(() => expect(harness.calls).toHaveLength(1), waitOptions);
    const closed = consumer[Symbol.asyncDispose]();
    expect(isDone).toBe(false);
    release();
    await closed;
    expect(isDone).toBe(true);
    await harness.producer.add([job(2)]);
    expect(await harness.producer.counts()).toEqual({ waiting: 1, active: 0, delayed: 0 });
    expect(harness.calls).toHaveLength(1);
  });

  test("work that outlasts the drain is aborted and returns to the queue", async ({ expect }) => {
    await using harness = await openHarness(openUrl);
    const consumer = harness.consume(async (_payload, { signal }) => {
      await once(signal, "abort");
      signal.throwIfAborted();
    }, 100);
    await harness.producer.add([job(1)]);
    await vi.waitFor(() => expect(harness.calls).toHaveLength(1), waitOptions);
    await consumer[Symbol.asyncDispose]();
    expect(harness.calls[0]?.delivery.signal.aborted).toBe(true);
    const { waiting, active, delayed } = await harness.producer.counts();
    expect({ queued: waiting + delayed, active }).toEqual({ queued: 1, active: 0 });
  });

  test("a clock that is set twice ticks once an interval", async ({ expect }) => {
    await using harness = await openHarness(openUrl);
    await Promise.all([harness.producer.schedule(job(1), 1), harness.producer.schedule(job(1), 1)]);
    await harness.producer.schedule(job(1), 1);
    harness.consume(async () => undefined);
    await vi.waitFor(() => expect(harness.calls.length).toBeGreaterThanOrEqual(5), waitOptions);
    const times = harness.calls.map(({ at }) => at);
    // Four intervals; two clocks would have ticked so often in two.
    expect((times[4] ?? 0) - (times[0] ?? 0)).toBeGreaterThan(2_500);
  });

  test("the queue of another archive on the same server is not touched", async ({ expect }) => {
    await using harness = await openHarness(openUrl);
    await using other = new Producer("load", { ...harness.queue, archiveId: randomUUID() }, log);
    await using otherHost = new Producer("load", { ...harness.queue, host: "ghes.example.com" }, log);
    await other.add([job(1)]);
    await otherHost.add([job(1)]);
    await harness.producer.add([job(2)]);
    harness.consume(async () => undefined);
    await vi.waitFor(() => expect(harness.calls).toHaveLength(1), waitOptions);
    await harness.untilEmpty();
    expect(harness.calls.map(({ payload }) => payload)).toEqual([job(2)]);
    expect((await other.counts()).waiting).toBe(1);
    expect((await otherHost.counts()).waiting).toBe(1);
  });

  test("an engine that is fit for use is accepted", async ({ expect }) => {
    await expect(checkQueueEngine(await openUrl())).resolves.toBeUndefined();
  });
});

test("on Postgres, a queue opened while it refused connections works once it accepts them", async ({ expect }) => {
  await using resources = new AsyncDisposableStack();
  const url = await openPostgresQueue();
  const proxy = resources.use(await openTcpProxy(Number(url.port)));
  const queue = { url: new URL(proxy.before(url.href)), archiveId: randomUUID(), host: "github.com" };
  proxy.isRefusing = true;
  const lines: string[] = [];
  const recordingLog = createLogger("test", "warn", { write: (line) => void lines.push(line) });
  const done: number[] = [];
  const producer = resources.use(new Producer("load", queue, recordingLog));
  resources.use(
    new Consumer(
      "load",
      queue,
      async (payload) => {
        if (payload.kind === "job") done.push(payload.job_id);
      },
      { concurrency: 4, drainMs: 1_000, log: recordingLog },
    ),
  );
  await expect(producer.add([job(1)])).rejects.toThrow();
  await vi.waitFor(() => expect(lines.length).toBeGreaterThan(1), waitOptions);
  // The error is logged once a second and not continuously.
  expect(lines.length).toBeLessThan(10);
  proxy.isRefusing = false;
  await producer.add([job(2)]);
  await vi.waitFor(() => expect(done).toEqual([2]), waitOptions);
});

test("on Postgres, sessions that end right after they begin do not end the process, and work continues", async ({ expect }) => {
  await using resources = new AsyncDisposableStack();
  const real = await openPostgresQueue();
  let ended = 0;
  let isEnding = true;
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on("error", () => {}));
    socket.once("data", (startup) => {
      if (isEnding) {
        ended++;
        // The greeting and the error arrive in one packet, as for a process that was busy.
        return void socket.end(
          Buffer.concat([message("R", "\0\0\0\0"), message("Z", "I"), message("E", "SFATAL\0C57P01\0Mended\0\0")]),
        );
      }
      const onward = connect(Number(real.port), real.hostname);
      sockets.add(onward.on("error", () => {}));
      onward.write(startup);
      socket.pipe(onward).pipe(socket);
    });
  });
  resources.defer(async () => {
    const closed = new Promise<void>((resolve) => void server.close(() => resolve()));
    for (const socket of sockets) socket.destroy();
    await closed;
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const url = new URL(real);
  url.host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const queue = { url, archiveId: randomUUID(), host: "github.com" };
  const done: number[] = [];
  const handler: Handler<"load"> = async (payload) => {
    if (payload.kind === "job") done.push(payload.job_id);
  };
  resources.use(new Consumer("load", queue, handler, { concurrency: 1, drainMs: 1_000, log }));
  await vi.waitFor(() => expect(ended).toBeGreaterThan(5), waitOptions);
  isEnding = false;
  const producer = resources.use(new Producer("load", queue, log));
  await producer.add([job(1)]);
  await vi.waitFor(() => expect(done).toEqual([1]), waitOptions);
});

/** A message of Postgres' protocol. */
function message(type: string, body: string): Buffer {
  const length = Buffer.alloc(4);
  length.writeInt32BE(body.length + length.length);
  return Buffer.concat([Buffer.from(type), length, Buffer.from(body)]);
}
