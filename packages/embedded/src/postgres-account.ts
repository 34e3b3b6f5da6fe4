// Postgres refuses to run as root. As root we run it as another account, which must own the data and reach data and binaries.

import { spawnSync } from "node:child_process";
import { stat } from "node:fs/promises";

import { ConfigError } from "@actions-archive/core/errors";

/** Who runs Postgres: undefined for ourselves, else the account that root steps down to. */
export type PostgresAccount = { readonly uid: number; readonly gid: number } | undefined;

/**
 * Chooses the account for `dataFolder`: its owner when it exists, so that a folder made by one account keeps working as root.
 * As root without one: `postgres`, which is created where `useradd` is there, else `nobody`.
 * @throws ConfigError when the data belongs to an account that this process cannot become.
 */
export async function choosePostgresAccount(dataFolder: string): Promise<PostgresAccount> {
  const self = process.getuid?.();
  const owner = await stat(dataFolder).catch(() => undefined);
  if (self !== 0) {
    if (!owner || owner.uid === self) return undefined;
    throw new ConfigError(
      `The database in ${dataFolder} belongs to uid ${owner.uid}: run as root or as that account, or move the folder away`,
    );
  }
  if (owner && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid };
  const known = findAccount("postgres");
  if (known) return known;
  spawnSync("useradd", ["--system", "--user-group", "--no-create-home", "--shell", "/bin/false", "postgres"]);
  const account = findAccount("postgres") ?? findAccount("nobody");
  if (account) return account;
  throw new ConfigError(
    "Postgres does not run as root, and there is no account to run it: create one (useradd --system postgres), or run as another user",
  );
}

/** Whether `account` may enter `folder`; asked of the kernel, because modes alone say nothing of mounts and access lists. */
export function canReach(account: PostgresAccount, folder: string): boolean {
  if (!account) return true;
  return spawnSync("/bin/sh", ["-c", 'cd "$0"', folder], { ...account, cwd: "/" }).status === 0;
}

function findAccount(name: string): PostgresAccount {
  const [uid, gid] = ["-u", "-g"].map((flag) => spawnSync("id", [flag, name], { encoding: "utf8" }));
  if (uid?.status !== 0 || gid?.status !== 0) return undefined;
  return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
}
