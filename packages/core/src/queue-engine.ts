// Checks a queue engine, and migrates its tables if it is Postgres.

import { assertSchemaCompatibility, runMigrations, SchemaMigrationRequiredError, SchemaVersionMismatchError } from "bullmq";
import { Redis } from "ioredis";
import pg from "pg";

import { errorMessage } from "./error-message.ts";
import { ConfigError } from "./errors.ts";
import { queueSchema } from "./queue.ts";

/**
 * Refuses an engine that would lose work: a Redis that evicts keys, or a Postgres without the queue's schema.
 * @throws ConfigError with the reason and the remedy.
 */
export async function checkQueueEngine(url: URL): Promise<void> {
  await (url.protocol.startsWith("redis") ? checkRedis(url) : checkPostgres(url));
}

/** Migrates the queue's tables if the queue is on Postgres; does nothing on Redis. Idempotent. */
export async function migrateQueue(url: URL): Promise<void> {
  if (url.protocol.startsWith("redis")) return;
  await withClient(url, async (client) => {
    await runMigrations(client, queueSchema);
    await client.query(grantToWriter);
  });
}

// The role belongs to the database package and does not exist on a separate server for the queue. BullMQ creates a sequence for each
// queue with the first jobs (add_jobs_bulk), hence `create`.
const grantToWriter = `do $$
begin
  if exists (select from pg_roles where rolname = 'actions_archive_writer') then
    grant usage, create on schema ${queueSchema} to actions_archive_writer;
    grant select, insert, update, delete on all tables in schema ${queueSchema} to actions_archive_writer;
    grant usage on all sequences in schema ${queueSchema} to actions_archive_writer;
  end if;
end $$`;

async function checkPostgres(url: URL): Promise<void> {
  try {
    await withClient(url, (client) => assertSchemaCompatibility(client, queueSchema));
  } catch (error) {
    if (error instanceof SchemaMigrationRequiredError || error instanceof SchemaVersionMismatchError) {
      throw new ConfigError(`QUEUE_URL: the queue's schema is missing or of another version. Run: actions-archive migrate`, {
        cause: error,
      });
    }
    throw new ConfigError(`QUEUE_URL: Postgres at ${url.host} cannot be used as the queue: ${errorMessage(error)}`, {
      cause: error,
    });
  }
}

async function checkRedis(url: URL): Promise<void> {
  const redis = new Redis(url.href, {
    lazyConnect: true,
    maxRetriesPerRequest: 1,
    retryStrategy: (times) => (times > 3 ? null : 300),
    connectTimeout: 5_000,
  });
  // The error that `connect` throws only says that the connection is closed; this event has the cause.
  let cause: Error | undefined;
  redis.on("error", (error) => {
    cause = error;
  });
  try {
    await redis.connect();
    const policy = /maxmemory_policy:(\S+)/.exec(await redis.info("memory"))?.[1];
    if (policy !== undefined && policy !== "noeviction") {
      throw new ConfigError(
        `QUEUE_URL: Redis at ${url.host} evicts keys under memory pressure (maxmemory-policy ${policy}), and with them queued work. Set: maxmemory-policy noeviction`,
      );
    }
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw new ConfigError(`QUEUE_URL: Redis at ${url.host} does not answer: ${errorMessage(cause ?? error)}`, { cause: error });
  } finally {
    redis.disconnect();
  }
}

async function withClient<T>(url: URL, use: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url.href, connectionTimeoutMillis: 10_000 });
  client.on("error", () => undefined);
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}
