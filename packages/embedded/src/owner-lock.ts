// Locks a folder for one owner with a kernel lock, which is released when the process dies, so there are no stale locks. Node.js has no
// fcntl, but SQLite takes such a lock on its file.

import { DatabaseSync } from "node:sqlite";

import { ConfigError } from "@actions-archive/core/errors";

// https://www.sqlite.org/rescode.html
const sqliteBusy = 5;

/**
 * Takes the lock on `path` (created if missing, never deleted) without waiting, and holds it until disposed or until the process ends.
 * Child processes do not inherit it.
 * @returns undefined if another process, or another call in this one, holds it.
 * @throws ConfigError when the file cannot be opened for writing.
 */
export function tryLockOwner(path: string): Disposable | undefined {
  let file: DatabaseSync | undefined;
  try {
    file = new DatabaseSync(path, { timeout: 0 });
    file.exec("begin exclusive");
  } catch (error) {
    file?.close();
    if (Error.isError(error) && "errcode" in error && error.errcode === sqliteBusy) return undefined;
    throw new ConfigError(`Cannot lock ${path}: use the account that created this folder, or a folder that you may write to`, {
      cause: error,
    });
  }
  const held = file;
  return { [Symbol.dispose]: () => held.close() };
}
