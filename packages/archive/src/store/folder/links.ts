// Symbolic links in a folder store: the store makes none, so one that is there was planted, and leads where others want to be read
// or written.

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
 * Holds that `folder` lies below `root` by its own name; the way to `root` may be links. What is missing of it leads nowhere yet.
 * @throws PermanentError `store/corrupt` when a link on the way leads elsewhere.
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

/** Both, for the file `path` below `root`. @throws PermanentError `store/corrupt` */
export async function assertReadableFile(root: string, path: string): Promise<void> {
  await assertLeadsInside(root, dirname(path));
  await assertIsNoLink(path);
}

function leadsAway(path: string): PermanentError {
  return new PermanentError(
    "store/corrupt",
    `${path} is a symbolic link, or lies behind one: nothing of the archive does. Find out who put it there, and remove it.`,
  );
}

function nothingIfMissing(error: unknown): undefined {
  if (!isErrno(error, "ENOENT", "ENOTDIR")) throw error;
}
