// Vitest's global setup: starts the servers of the integration tests once, and stops them at the end.

import { createLogger } from "@actions-archive/core/logger";
import type { TestProject } from "vitest/node";

import { openRunFolder } from "./run-folder.ts";
import { openTestPostgres } from "./test-postgres.ts";
import { openTestRedis } from "./test-redis.ts";

declare module "vitest" {
  export interface ProvidedContext {
    /** The superuser's URL of the server with the test databases. */
    testPostgresUrl: string;
    /** The prefix of this run's databases; the template is `<prefix>_template`. */
    testDatabasePrefix: string;
    testRedis: { readonly url: string } | { readonly missing: string };
  }
}

/** Called by Vitest. Uses the servers of TEST_DATABASE_URL and TEST_REDIS_URL; without them, starts its own. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  // oxlint-disable-next-line node/no-process-env -- this is the entry point of the test run
  const { TEST_DATABASE_URL: databaseUrl, TEST_REDIS_URL: redisUrl } = process.env;
  await using opened = new AsyncDisposableStack();
  const folder = opened.use(await openRunFolder());
  const log = createLogger("tests", "warn");
  const [postgres, redis] = await Promise.all([
    openTestPostgres({ url: databaseUrl, folder: folder.path, log }),
    openTestRedis({ url: redisUrl, folder: folder.path }),
  ]);
  opened.use(postgres);
  opened.use(redis);
  project.provide("testPostgresUrl", postgres.url);
  project.provide("testDatabasePrefix", postgres.databasePrefix);
  project.provide("testRedis", redis.provided);
  const running = opened.move();
  return () => running.disposeAsync();
}
