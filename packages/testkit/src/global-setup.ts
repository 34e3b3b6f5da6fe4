// Vitest runs this once before all integration tests: it starts the servers they need, and takes them away at the end.

import { createLogger } from "@actions-archive/core/logger";
import type { TestProject } from "vitest/node";

import { openRunFolder } from "./run-folder.ts";
import { openTestPostgres } from "./test-postgres.ts";
import { openTestRedis } from "./test-redis.ts";

declare module "vitest" {
  export interface ProvidedContext {
    /** A superuser's URL of the server where test databases are made. */
    testPostgresUrl: string;
    /** How the databases of this run begin; the template is `<prefix>_template`. */
    testDatabasePrefix: string;
    testRedis: { readonly url: string } | { readonly missing: string };
  }
}

/** Called by vitest. TEST_DATABASE_URL and TEST_REDIS_URL name servers to use; without them, we start our own. */
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
