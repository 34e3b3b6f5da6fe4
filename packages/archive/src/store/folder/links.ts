// Rejects symbolic links in a folder store. The store creates none, so any link was planted and could redirect reads and writes.

import { lstat, realpath } from "node:fs/promises";
import { dirname, join, relative } from "node:path";

import { PermanentError } from "@actions-archive/core/errors";

import { isErrno } from "./files.ts";

/** @throws PermanentError `store/corrupt` when `path` itself is a symbolic link. */
export async function assertIsNoLink(path: string): Promise<void> {
  const found = await lstat(path).catch(nothingIfMissing);
  if (found?.isSymbolicLink()) throw leadsAway(path);
}

/**
 * Checks that no component between `root` and `folder` is a symbolic link. `root` itself may be reached through links. Missing
 * components are accepted.
 * @throws PermanentError `store/corrupt` when a component is a link.
 */
export async function assertLeadsInside(root: string, folder: string): Promise<void> {
  const realRoot = await realpath(root);
  for (let at = folder; at !== root && at !== dirname(at); at = dirname(at)) {
    const real = await realpath(at).catch(nothingIfMissing);
    if (real === undefined) continue;
    if (real !== join(realRoot, relative(root, at))) throw leadsAway(at);
    return;
  }
}

/** Applies both checks to the file `path` below `root`. @throws PermanentError `store/corrupt` */
export async function assertReadableFile(root: string, path: string): Promise<void> {
  await assertLeadsInside(root, dirname(path));
  await assertIsNoLink(path);
}

function leadsAway(path: string): PermanentError {
  return new PermanentError(
    "store/corrupt",
    `${path} is a symbolic link or lies behind one, and an archive contains no links. Find out who created it, and remove it.`,
  );
}

function nothingIfMissing(error: unknown): undefined {
  if (!isErrno(error, "ENOENT", "ENOTDIR")) throw error;
}
