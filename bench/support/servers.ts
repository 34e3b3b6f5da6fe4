// Real servers for a measurement outside of a test run: a Postgres with durable writes and commit timestamps, a Redis, and a temporary folder.

import { randomBytes } from "node:crypto";

import { createLogger } from "@actions-archive/core/logger";
import { migrateDatabase } from "@actions-archive/database/migration/migrate";
import { openEmbeddedPostgres } from "@actions-archive/embedded/embedded-postgres";
import { openRunFolder } from "@actions-archive/testkit/run-folder";
import { openTestRedis } from "@actions-archive/testkit/test-redis";
import { Client } from "pg";

export type Servers = AsyncDisposable & {
  readonly folder: string;
  readonly redisUrl: string;
  /** @returns the URL of a new, migrated database. */
  readonly createDatabase: () => Promise<string>;
};

/** Starts the servers; disposing stops them. @throws when redis-server is missing, with instructions. */
export async function openServers(): Promise<Servers> {
  await using opened = new AsyncDisposableStack();
  const { path: folder } = opened.use(await openRunFolder());
  const log = createLogger("bench", "warn");
  const postgres = opened.use(
    await openEmbeddedPostgres({ folder: `${folder}/postgres`, settings: { track_commit_timestamp: "on" }, log }),
  );
  const { provided: redis } = opened.use(await openTestRedis({ url: undefined, folder }));
  if ("missing" in redis) throw new Error(redis.missing);
  const running = opened.move();
  return {
    folder,
    redisUrl: redis.url,
    async createDatabase() {
      const name = `bench_${randomBytes(6).toString("hex")}`;
      const client = new Client({ connectionString: postgres.url });
      await client.connect();
      await client.query(`create database ${name}`);
      await client.end();
      const { href } = Object.assign(new URL(postgres.url), { pathname: `/${name}` });
      await migrateDatabase(href);
      return href;
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}
