// The folder of a test run's servers. A killed run leaves its folder and its servers behind; the next run removes both. Locks distinguish
// them from concurrent runs.

import { chmod, mkdtemp, readdir, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { tryLockOwner } from "@actions-archive/embedded/owner-lock";
import { exists } from "@actions-archive/embedded/postgres-binaries";

import { stopAbandonedPostgres } from "./test-postgres.ts";
import { stopAbandonedRedis } from "./test-redis.ts";

export type RunFolder = AsyncDisposable & { readonly path: string };

const folderPrefix = "actions-archive-tests-";

/** Removes what killed runs left, and creates a folder for this run. Disposing removes it. */
export async function openRunFolder(): Promise<RunFolder> {
  const parent = await realpath(tmpdir());
  await removeAbandoned(parent);
  for (;;) {
    const path = await mkdtemp(join(parent, folderPrefix));
    // Lets the account of Postgres pass when the tests run as root.
    await chmod(path, 0o711);
    const lock = tryLockOwner(lockIn(path));
    // A concurrent run has removed the folder as abandoned.
    if (!lock) continue;
    return {
      path,
      async [Symbol.asyncDispose]() {
        await rm(path, { recursive: true, force: true });
        lock[Symbol.dispose]();
      },
    };
  }
}

async function removeAbandoned(parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    const path = join(parent, name);
    if (!name.startsWith(folderPrefix) || !(await exists(lockIn(path)))) continue;
    try {
      using lock = tryLockOwner(lockIn(path));
      if (!lock) continue;
      await stopAbandonedPostgres(path);
      await stopAbandonedRedis(path);
      await rm(path, { recursive: true, force: true });
    } catch {
      // Owned by another account, or being removed by another run.
    }
  }
}

function lockIn(path: string): string {
  return join(path, "owner.lock");
}
