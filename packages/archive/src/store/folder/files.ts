// Durable file operations for the folder store: fsync of files and directories, exclusive links, removal of abandoned files.

import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { link, mkdir, open, readdir, stat, type FileHandle, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";

import { ActionsArchiveError, PermanentError, TransientError } from "@actions-archive/core/errors";

import type { StoredBody } from "../store.ts";

const chunkBytes = 256 * 1024;

export const isErrno = (error: unknown, ...codes: string[]): boolean =>
  error instanceof Error && "code" in error && typeof error.code === "string" && codes.includes(error.code);

/** Creates `folder` and its missing parents below `root`, and fsyncs their directory entries. */
export async function ensureFolder(root: string, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  await syncFolders(root, folder);
}

/** Calls fsync on `folder` and its parents up to `root`. fsync of a clean directory takes microseconds. */
export async function syncFolders(root: string, folder: string): Promise<void> {
  for (let at = folder; ; at = dirname(at)) {
    const handle = await open(at, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
    if (at === root || at === dirname(at)) return;
  }
}

/**
 * Writes `body` to the new file `path` and fsyncs it. The directory entry is not durable yet.
 * @throws TransientError `store/unavailable` when the bytes of `body` do not have the SHA-256 `sha256`.
 */
export async function writeDurably(path: string, body: StoredBody, sha256: string): Promise<void> {
  // Created read-only: an archived object is never written again.
  const file = await open(path, "wx", 0o444);
  try {
    const hash = createHash("sha256");
    for await (const chunk of Buffer.isBuffer(body) ? [body] : readChunks(body.path)) {
      hash.update(chunk);
      await writeAll(file, chunk);
    }
    const actual = hash.digest("hex");
    if (actual !== sha256) {
      throw new TransientError(
        "store/unavailable",
        `The bytes to store have SHA-256 ${actual}, not the declared ${sha256}: memory or disk changed them. It is tried again.`,
      );
    }
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Links the durable file `from` to the name `to`. Returns false if the name is taken: link(2) never replaces a file. */
export async function linkExclusively(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (isErrno(error, "EEXIST")) return false;
    throw error;
  }
}

export async function removeIfThere(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (!isErrno(error, "ENOENT")) throw error;
  }
}

/** Converts a file system error to an archive error; returns any other error unchanged. */
export function folderFailure(error: unknown, doing: string): unknown {
  if (!(error instanceof Error) || error instanceof ActionsArchiveError || !("errno" in error)) return error;
  const message = `${doing}: ${error.message}.`;
  if (isErrno(error, "ENOSPC", "EDQUOT")) {
    return new TransientError("store/unavailable", `${message} The disk is full: free some space. It is tried again.`, {
      cause: error,
    });
  }
  if (isErrno(error, "EACCES", "EPERM", "EROFS", "ENOTDIR", "ENOTSUP", "EOPNOTSUPP", "EXDEV", "ELOOP", "ENAMETOOLONG")) {
    const remedy = "Use a folder that the process may write to, on one file system that supports hard links.";
    return new PermanentError("store/refused", `${message} ${remedy}`, { cause: error });
  }
  return new TransientError("store/unavailable", `${message} It is tried again.`, { cause: error });
}

// Reuses one buffer, so a chunk is valid only until the next one is requested. A buffer for each chunk would leave hundreds of them to
// the garbage collector for a large log.
async function* readChunks(path: string): AsyncGenerator<Buffer, void, undefined> {
  await using file = await open(path);
  const buffer = Buffer.allocUnsafe(chunkBytes);
  for (;;) {
    const { bytesRead } = await file.read(buffer);
    if (bytesRead === 0) return;
    yield buffer.subarray(0, bytesRead);
  }
}

async function writeAll(file: FileHandle, chunk: Buffer): Promise<void> {
  for (let written = 0; written < chunk.length;) {
    const { bytesWritten } = await file.write(chunk, written);
    written += bytesWritten;
  }
}

/** Younger files may belong to a put that is still running in another process or on another machine. */
const abandonedAfterMs = 60 * 60 * 1000;

/** Removes the files that crashed puts left in `folder`. Idempotent. */
export async function removeAbandoned(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    const found = await stat(path).catch(() => undefined);
    if (found && Date.now() - found.mtimeMs > abandonedAfterMs) await removeIfThere(path);
  }
}
