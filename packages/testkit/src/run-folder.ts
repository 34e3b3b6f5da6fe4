// A folder for the servers of one test run. A run that was killed leaves its folder and its servers behind: the next run ends
// both, told apart from runs beside it by their locks.

import { chmod, mkdtemp, readdir, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { tryLockOwner } from "@actions-archive/embedded/owner-lock";
import { exists } from "@actions-archive/embedded/postgres-binaries";

import { stopAbandonedPostgres } from "./test-postgres.ts";
import { stopAbandonedRedis } from "./test-redis.ts";

export type RunFolder = AsyncDisposable & { readonly path: string };

const folderPrefix = "actions-archive-tests-";

/** Makes a folder of its own for this run, after clearing those of killed runs. Disposing removes it. */
export async function openRunFolder(): Promise<RunFolder> {
  const parent = await realpath(tmpdir());
  await removeAbandoned(parent);
  for (;;) {
    const path = await mkdtemp(join(parent, folderPrefix));
    // Postgres' account passes through when we are root.
    await chmod(path, 0o711);
    const lock = tryLockOwner(lockIn(path));
    // Another run that was clearing took it for abandoned.
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
      // Another account's run, or one that is being cleared by another: not ours to end, and nothing that this run needs.
    }
  }
}

function lockIn(path: string): string {
  return join(path, "owner.lock");
}
