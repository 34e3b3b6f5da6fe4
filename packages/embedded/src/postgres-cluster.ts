// Creates a Postgres data folder atomically: initdb works in a temporary folder that is then renamed, so a killed start leaves no
// partial database.

import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmod, chown, mkdir, mkdtemp, readdir, readFile, realpath, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { promisify } from "node:util";

import { ConfigError } from "@actions-archive/core/errors";

import { canReach, choosePostgresAccount, type PostgresAccount } from "./postgres-account.ts";
import { exists, type PostgresBinaries } from "./postgres-binaries.ts";
import { postgresEnvironment } from "./postmaster.ts";

export type Cluster = { readonly dataFolder: string; readonly logFile: string; readonly password: string };

/** The superuser of every embedded cluster. */
export const clusterUser = "actions_archive";

/** Folder for files of root that its Postgres account cannot reach elsewhere. */
export const rootSharedFolder = "/var/lib/actions-archive";

const unfinishedPrefix = "unfinished-";

/** The path of the data of the cluster in `folder`, whether or not it exists. */
export function dataFolderIn(folder: string): string {
  return join(folder, "cluster", "data");
}

/**
 * Chooses the folder for a new cluster: `wanted`, or one under /var/lib if root's Postgres account cannot reach it, as in a home directory
 * of mode 0700. Each call may return another folder, so the caller must store the result.
 */
export async function choosePostgresFolder(wanted: string): Promise<string> {
  const account = await choosePostgresAccount(dataFolderIn(wanted));
  await mkdir(wanted, { recursive: true, mode: 0o711 });
  if (canReach(account, wanted) || (await exists(dataFolderIn(wanted)))) return wanted;
  return join(rootSharedFolder, `${basename(dirname(dirname(wanted)))}-${randomBytes(6).toString("hex")}`);
}

/**
 * Opens the cluster in `folder`, or creates it with a random password. Idempotent, but not for concurrent callers.
 * @throws ConfigError when initdb fails, or when the data belongs to another major version of Postgres.
 */
export async function openPostgresCluster(
  folder: string,
  binaries: PostgresBinaries,
  account: PostgresAccount,
): Promise<Cluster> {
  await mkdir(folder, { recursive: true, mode: 0o711 });
  for (const name of await readdir(folder)) {
    // The initdb of a killed process may still be writing there; what cannot be removed now is removed at the next start.
    if (name.startsWith(unfinishedPrefix)) await rm(join(folder, name), { recursive: true, force: true }).catch(() => undefined);
  }
  if (!(await exists(dataFolderIn(folder)))) await createCluster(folder, binaries, account);
  const dataFolder = await realpath(dataFolderIn(folder));
  await refuseOtherVersion(dataFolder, binaries);
  const password = await readFile(join(dataFolder, "..", "password"), "utf8");
  return { dataFolder, logFile: join(folder, "postgres.log"), password: password.trim() };
}

async function createCluster(folder: string, binaries: PostgresBinaries, account: PostgresAccount): Promise<void> {
  const unfinished = await mkdtemp(join(folder, unfinishedPrefix));
  const data = join(unfinished, "data");
  const password = join(unfinished, "password");
  await chmod(unfinished, 0o711);
  await mkdir(data, { mode: 0o700 });
  await writeFile(password, `${randomBytes(24).toString("base64url")}\n`, { mode: 0o600, flush: true });
  if (account) for (const path of [data, password]) await chown(path, account.uid, account.gid);
  // Postgres's builtin collation by code point has the same order and the same indexes on every machine.
  const locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"];
  const access = [`--username=${clusterUser}`, `--pwfile=${password}`, "--auth=scram-sha-256"];
  try {
    await promisify(execFile)(join(binaries.folder, "bin", "initdb"), [`--pgdata=${data}`, ...access, ...locale], {
      ...account,
      cwd: "/",
      env: postgresEnvironment,
    });
  } catch (error) {
    // execFile attaches the program's output.
    const output = Error.isError(error) && "stderr" in error ? String(error.stderr).trim() : String(error);
    throw new ConfigError(
      `initdb could not create a database in ${folder}:\n${output}\nRemove the cause, or set DATABASE_URL and QUEUE_URL`,
      {
        cause: error,
      },
    );
  }
  await rename(unfinished, join(folder, "cluster"));
}

async function refuseOtherVersion(dataFolder: string, binaries: PostgresBinaries): Promise<void> {
  const found = (await readFile(join(dataFolder, "PG_VERSION"), "utf8")).trim();
  const [embedded] = binaries.version.split(".");
  if (found === embedded) return;
  throw new ConfigError(
    `The database in ${dataFolder} belongs to PostgreSQL ${found}, but the embedded version is ${embedded}: use the release that created it, or move the folder away and run \`rebuild\`, which restores it from the archive`,
  );
}
