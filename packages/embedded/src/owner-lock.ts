// One owner per folder, by a lock that the kernel drops when its process dies, however it dies: there is no stale lock to
// recognise, and two starters cannot both win. Node has no fcntl; SQLite takes such a lock on its file, so we let it.

import { DatabaseSync } from "node:sqlite";

import { ConfigError } from "@actions-archive/core/errors";

// https://www.sqlite.org/rescode.html
const sqliteBusy = 5;

/**
 * Takes the lock on `path` (created when missing, never deleted) without waiting, and holds it until disposed or until the
 * process ends. Children do not inherit it.
 * @returns undefined when another process, or another part of this one, holds it.
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
    throw new ConfigError(`Cannot lock ${path}: use the account that made this folder, or a folder that you may write to`, {
      cause: error,
    });
  }
  const held = file;
  return { [Symbol.dispose]: () => held.close() };
}
