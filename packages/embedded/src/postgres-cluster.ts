// Makes a Postgres data folder, once, all or nothing: initdb works beside it and a rename commits, so that a start which was
// killed half-way leaves nothing that looks like a database.

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

/** The superuser of every cluster of ours. */
export const clusterUser = "actions_archive";

/** Where root puts what its Postgres account could not reach elsewhere. */
export const rootSharedFolder = "/var/lib/actions-archive";

const unfinishedPrefix = "unfinished-";

/** Where the data of the cluster in `folder` is, made or not. */
export function dataFolderIn(folder: string): string {
  return join(folder, "cluster", "data");
}

/**
 * The folder for a new cluster: `wanted`, or one under /var/lib when root's Postgres account cannot reach it, as under a home of
 * mode 0700. Each call may give another: the caller remembers the answer.
 */
export async function choosePostgresFolder(wanted: string): Promise<string> {
  const account = await choosePostgresAccount(dataFolderIn(wanted));
  await mkdir(wanted, { recursive: true, mode: 0o711 });
  if (canReach(account, wanted) || (await exists(dataFolderIn(wanted)))) return wanted;
  return join(rootSharedFolder, `${basename(dirname(dirname(wanted)))}-${randomBytes(6).toString("hex")}`);
}

/**
 * Opens the cluster in `folder`, made with a random password when there is none. Idempotent; for one caller at a time.
 * @throws ConfigError when initdb fails, or when the data is of another major version of Postgres.
 */
export async function openPostgresCluster(
  folder: string,
  binaries: PostgresBinaries,
  account: PostgresAccount,
): Promise<Cluster> {
  await mkdir(folder, { recursive: true, mode: 0o711 });
  for (const name of await readdir(folder)) {
    // The initdb of a killed process may still be writing there: what resists now goes at the next start.
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
  // Collation by code point, from Postgres itself: the same order and the same indexes on every machine.
  const locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"];
  const access = [`--username=${clusterUser}`, `--pwfile=${password}`, "--auth=scram-sha-256"];
  try {
    await promisify(execFile)(join(binaries.folder, "bin", "initdb"), [`--pgdata=${data}`, ...access, ...locale], {
      ...account,
      cwd: "/",
      env: postgresEnvironment,
    });
  } catch (error) {
    // execFile attaches what the program said.
    const said = Error.isError(error) && "stderr" in error ? String(error.stderr).trim() : String(error);
    throw new ConfigError(`initdb could not make a database in ${folder}:\n${said}\nCure it, or set DATABASE_URL and QUEUE_URL`, {
      cause: error,
    });
  }
  await rename(unfinished, join(folder, "cluster"));
}

async function refuseOtherVersion(dataFolder: string, binaries: PostgresBinaries): Promise<void> {
  const found = (await readFile(join(dataFolder, "PG_VERSION"), "utf8")).trim();
  const [ours] = binaries.version.split(".");
  if (found === ours) return;
  throw new ConfigError(
    `The database in ${dataFolder} is of PostgreSQL ${found}, the embedded one is ${ours}: go back to the release that made it, or move the folder away and run \`rebuild\`, which fills a new one from the archive`,
  );
}
