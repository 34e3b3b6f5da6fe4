// A place for one test: a folder that goes away, with room for an archive and a spool, and settings that lead a program to it.

import { chmod, mkdtemp, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

import type { Simulator } from "@actions-archive/github-simulator/simulator";
import { fullNameOf } from "@actions-archive/github-simulator/world/world";
import { requireRedis } from "@actions-archive/testkit/require-redis";
import { createTestDatabase } from "@actions-archive/testkit/test-database";

import type { Settings } from "./processes.ts";

/** As it stands in keys and views: the simulator's ports change, its name does not. */
export const simulatedHost = "github-simulator";

export type Workspace = AsyncDisposable & {
  readonly folder: string;
  /** The store's root when a folder is configured. */
  readonly archive: string;
};

export async function openWorkspace(): Promise<Workspace> {
  const folder = await mkdtemp(join(await realpath(tmpdir()), "actions-archive-e2e-"));
  // Postgres' account passes through when we are root.
  await chmod(folder, 0o711);
  return {
    folder,
    archive: join(folder, "archive"),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

/** What leads a program to the simulator: its hosts, its token, all repositories of its world. */
export function githubSettings(simulator: Simulator): Settings {
  return {
    GITHUB_API_URL: simulator.apiUrl,
    GITHUB_HOST: simulatedHost,
    GITHUB_TOKEN: simulator.token,
    GITHUB_LOG_HOSTS: simulator.logOrigin,
    ARCHIVE_REPOSITORIES: simulator.world.repositories.map(fullNameOf).join(","),
    LOG_SETTLE_SECONDS: "1",
    RUN_SETTLE_SECONDS: "0",
  };
}

/** Engines by URL: a database and queue of this test alone on the run's servers, and a folder as the store. */
export async function engineSettings({ folder, archive }: Workspace): Promise<Settings> {
  return {
    DATABASE_URL: await createTestDatabase({ migrated: true }),
    // Queues are named by the archive's random id: nothing else on this Redis has theirs.
    QUEUE_URL: requireRedis().url,
    ARCHIVE_URL: pathToFileURL(archive).href,
    SPOOL_DIR: join(folder, "spool"),
  };
}
