// Engines that would lose work are refused, with the reason and the cure.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { requireRedis } from "@actions-archive/testkit/require-redis";
import { createTestDatabase } from "@actions-archive/testkit/test-database";
import getPort from "get-port";
import { Redis } from "ioredis";
import { expect, test } from "vitest";

import { ConfigError } from "./errors.ts";
import { checkQueueEngine, migrateQueue } from "./queue-engine.ts";

async function startEvictingRedis(): Promise<AsyncDisposable & { readonly url: URL }> {
  requireRedis();
  const dir = await mkdtemp(join(tmpdir(), "actions-archive-redis-"));
  const port = await getPort({ host: "127.0.0.1" });
  const policy = ["--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru"];
  const server = spawn("redis-server", ["--port", String(port), "--bind", "127.0.0.1", "--dir", dir, "--save", "", ...policy], {
    stdio: "ignore",
  });
  const client = new Redis(port, "127.0.0.1", { retryStrategy: () => 20, maxRetriesPerRequest: null });
  client.on("error", () => undefined);
  await client.ping();
  client.disconnect();
  return {
    url: new URL(`redis://127.0.0.1:${port}`),
    async [Symbol.asyncDispose]() {
      server.kill("SIGTERM");
      await once(server, "exit");
      await rm(dir, { recursive: true, force: true });
    },
  };
}

async function refusalOf(url: URL): Promise<string> {
  const error = await checkQueueEngine(url).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ConfigError);
  return (error as ConfigError).message;
}

test("a Redis that evicts is refused, with the setting that cures it", async () => {
  await using redis = await startEvictingRedis();
  expect(await refusalOf(redis.url)).toMatch(/QUEUE_URL.*allkeys-lru.*Set: maxmemory-policy noeviction/);
});

test("a Redis that does not answer is refused by its address", async () => {
  const port = await getPort({ host: "127.0.0.1" });
  expect(await refusalOf(new URL(`redis://127.0.0.1:${port}`))).toContain(`Redis at 127.0.0.1:${port} does not answer`);
});

test("a Postgres without the queue's tables is refused, naming migrate", async () => {
  const url = new URL(await createTestDatabase({ migrated: false }));
  expect(await refusalOf(url)).toMatch(/QUEUE_URL.*Run: actions-archive migrate/);
});

test("a refusal repeats no password", async () => {
  const port = await getPort({ host: "127.0.0.1" });
  for (const protocol of ["redis", "postgres"]) {
    expect(await refusalOf(new URL(`${protocol}://user:hunter2@127.0.0.1:${port}/x`))).not.toContain("hunter2");
  }
});

test("migrating the queue twice, and twice at once, does no harm", async () => {
  const url = new URL(await createTestDatabase({ migrated: false }));
  await Promise.all([migrateQueue(url), migrateQueue(url)]);
  await migrateQueue(url);
  await expect(checkQueueEngine(url)).resolves.toBeUndefined();
});

test("a queue on Redis needs no migration", async () => {
  await expect(migrateQueue(new URL("redis://127.0.0.1:1"))).resolves.toBeUndefined();
});
