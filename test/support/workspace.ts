// A temporary folder for one test, with an archive and a spool, and settings that direct a program to them.

import { chmod, mkdtemp, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

import type { Simulator } from "@actions-archive/github-simulator/simulator";
import { fullNameOf } from "@actions-archive/github-simulator/world/world";
import { requireRedis } from "@actions-archive/testkit/require-redis";
import { createTestDatabase } from "@actions-archive/testkit/test-database";

import type { Settings } from "./processes.ts";

/** The host in keys and views. It is fixed, while the simulator's ports vary. */
export const simulatedHost = "github-simulator";

export type Workspace = AsyncDisposable & {
  readonly folder: string;
  /** The root of the folder store. */
  readonly archive: string;
};

export async function openWorkspace(): Promise<Workspace> {
  const folder = await mkdtemp(join(await realpath(tmpdir()), "actions-archive-e2e-"));
  // Lets the account of Postgres pass when the tests run as root.
  await chmod(folder, 0o711);
  return {
    folder,
    archive: join(folder, "archive"),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

/** @returns settings that direct a program to the simulator: its hosts, its token, all of its repositories. */
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

/** @returns the URLs of engines: a new database and queue on the shared servers, and a folder store. */
export async function engineSettings({ folder, archive }: Workspace): Promise<Settings> {
  return {
    DATABASE_URL: await createTestDatabase({ migrated: true }),
    // Queue names contain the archive's random id, so no other test on this Redis has the same.
    QUEUE_URL: requireRedis().url,
    ARCHIVE_URL: pathToFileURL(archive).href,
    SPOOL_DIR: join(folder, "spool"),
  };
}
