// Chooses the account that runs Postgres, which refuses to run as root. The account must own the data, and reach data and binaries.

import { spawnSync } from "node:child_process";
import { stat } from "node:fs/promises";

import { ConfigError } from "@actions-archive/core/errors";

/** The account that runs Postgres: undefined for that of this process, else the account to which root switches. */
export type PostgresAccount = { readonly uid: number; readonly gid: number } | undefined;

/**
 * Chooses the account for `dataFolder`: its owner if it exists, so that a folder created by one account also works as root. As root without
 * a folder: `postgres`, which is created if `useradd` exists, else `nobody`.
 * @throws ConfigError when the data belongs to an account to which this process cannot switch.
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

/** Whether `account` can enter `folder`. Tried with a process, since modes do not show mounts and access control lists. */
export function canReach(account: PostgresAccount, folder: string): boolean {
  if (!account) return true;
  return spawnSync("/bin/sh", ["-c", 'cd "$0"', folder], { ...account, cwd: "/" }).status === 0;
}

function findAccount(name: string): PostgresAccount {
  const [uid, gid] = ["-u", "-g"].map((flag) => spawnSync("id", [flag, name], { encoding: "utf8" }));
  if (uid?.status !== 0 || gid?.status !== 0) return undefined;
  return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
}
