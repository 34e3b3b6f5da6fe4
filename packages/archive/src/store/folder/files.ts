// Durable files: what a folder needs before it may call itself a store. The order of calls is what survives a power cut.

import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { link, mkdir, open, readdir, stat, type FileHandle, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";

import { ActionsArchiveError, PermanentError, TransientError } from "@actions-archive/core/errors";

import type { StoredBody } from "../store.ts";

const pieceBytes = 256 * 1024;

export const isErrno = (error: unknown, ...codes: string[]): boolean =>
  error instanceof Error && "code" in error && typeof error.code === "string" && codes.includes(error.code);

/** Makes `folder` and the folders above it, down from `root`, and makes their names durable. */
export async function ensureFolder(root: string, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  await syncFolders(root, folder);
}

/** Makes the names in `folder`, and those that lead to it from `root`, durable: fsync of a clean folder costs microseconds. */
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
 * Writes `body` to the new file `path` and makes its bytes durable. Its name is not durable yet.
 * @throws TransientError `store/unavailable` when the bytes that were read do not have the SHA-256 `sha256`.
 */
export async function writeDurably(path: string, body: StoredBody, sha256: string): Promise<void> {
  // Read-only from birth: an archived object is never written again, by nobody.
  const file = await open(path, "wx", 0o444);
  try {
    const hash = createHash("sha256");
    for await (const chunk of Buffer.isBuffer(body) ? [body] : readPieces(body.path)) {
      hash.update(chunk);
      await writeAll(file, chunk);
    }
    const actual = hash.digest("hex");
    if (actual !== sha256) {
      throw new TransientError(
        "store/unavailable",
        `The bytes to store have SHA-256 ${actual}, not ${sha256} as announced: memory or disk changed them. It is tried again.`,
      );
    }
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Gives the durable file `from` the name `to` as well. False when that name is taken: link(2) never replaces. */
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

/** Our error for one of the file system's; anything else comes back as it is. */
export function folderFailure(error: unknown, doing: string): unknown {
  if (!(error instanceof Error) || error instanceof ActionsArchiveError || !("errno" in error)) return error;
  const message = `${doing}: ${error.message}.`;
  if (isErrno(error, "ENOSPC", "EDQUOT")) {
    return new TransientError("store/unavailable", `${message} The disk is full: free space; it is tried again.`, {
      cause: error,
    });
  }
  if (isErrno(error, "EACCES", "EPERM", "EROFS", "ENOTDIR", "ENOTSUP", "EOPNOTSUPP", "EXDEV", "ELOOP", "ENAMETOOLONG")) {
    const cure = "Give the process a folder that it may write to, on one file system that knows hard links.";
    return new PermanentError("store/refused", `${message} ${cure}`, { cause: error });
  }
  return new TransientError("store/unavailable", `${message} It is tried again.`, { cause: error });
}

// Each piece is good until the next one is asked for: a buffer for each would all be garbage at once, hundreds of a large log.
async function* readPieces(path: string): AsyncGenerator<Buffer, void, undefined> {
  await using file = await open(path);
  const buffer = Buffer.allocUnsafe(pieceBytes);
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

/** Younger files may belong to a put that is still running in another process, or on another machine. */
const abandonedAfterMs = 60 * 60 * 1000;

/** Removes what crashed puts left in `folder`. Idempotent. */
export async function removeAbandoned(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    const found = await stat(path).catch(() => undefined);
    if (found && Date.now() - found.mtimeMs > abandonedAfterMs) await removeIfThere(path);
  }
}
