// The embedded PostgreSQL in a folder, used when none is configured. It listens on 127.0.0.1 only, has a random password, writes durably,
// survives kill -9 of itself and of this process, and works as root.

import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { ConfigError } from "@actions-archive/core/errors";
import type { Logger } from "@actions-archive/core/logger";
import getPort from "get-port";
import { Client } from "pg";

import { canReach, choosePostgresAccount, type PostgresAccount } from "./postgres-account.ts";
import { copyPostgresBinaries, locatePostgresBinaries, type PostgresBinaries } from "./postgres-binaries.ts";
import { clusterUser, dataFolderIn, openPostgresCluster, rootSharedFolder } from "./postgres-cluster.ts";
import { type PostmasterSpec, startPostmaster, stopPostmaster, waitForEnd } from "./postmaster.ts";

export type EmbeddedPostgres = AsyncDisposable & {
  /** URL of the database `actions_archive` for its superuser. Contains the password. */
  readonly url: string;
  readonly port: number;
};

export type EmbeddedPostgresOptions = {
  /** The caller must hold a lock on it. Created if missing. */
  readonly folder: string;
  /** Used unless another process listens there. */
  readonly preferredPort?: number | undefined;
  /** Override the default settings, such as `fsync: "off"` in tests. */
  readonly settings?: Readonly<Record<string, string>>;
  readonly log: Logger;
};

const database = "actions_archive";
const maxRestartDelayMs = 5_000;

const settings = {
  listen_addresses: "127.0.0.1",
  unix_socket_directories: "",
  max_connections: "100",
  shared_buffers: "128MB",
  fsync: "on",
  timezone: "UTC",
  log_timezone: "UTC",
  log_checkpoints: "off",
};

/**
 * Starts the Postgres in `folder`, which the first call creates, and keeps it running until disposed: if it is killed, it restarts on the
 * same port. First stops a server that a killed process left running. Takes 1 to 3 s, after a crash up to 60 s. Disposing shuts it down
 * cleanly.
 * @throws ConfigError with the cause and the remedy.
 */
export async function openEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const { folder, log } = options;
  const account = await choosePostgresAccount(dataFolderIn(folder));
  await mkdir(folder, { recursive: true, mode: 0o711 });
  if (!canReach(account, folder)) {
    throw new ConfigError(
      `Uid ${account?.uid}, which runs Postgres for root, cannot reach ${folder}: chmod a+x its parents, or set DATABASE_URL and QUEUE_URL`,
    );
  }
  const binaries = await binariesFor(account);
  const { dataFolder, logFile, password } = await openPostgresCluster(folder, binaries, account);
  const spec = {
    binary: join(binaries.folder, "bin", "postgres"),
    dataFolder,
    logFile,
    account,
    settings: { ...settings, ...options.settings },
  };
  const stopping = new AbortController();
  const { child, port } = await startOnFreePort(spec, options.preferredPort, stopping.signal);
  try {
    await ensureDatabase({ port, password, folder });
  } catch (error) {
    await stopPostmaster(child);
    throw error;
  }
  log.info({ port, postgresPid: child.pid, folder }, "embedded postgres started");
  const server = supervise(child, { log, stopping, restart: () => startPostmaster(spec, port, stopping.signal) });
  return { url: urlOf(port, password, database), port, ...server };
}

async function binariesFor(account: PostgresAccount): Promise<PostgresBinaries> {
  const binaries = await locatePostgresBinaries();
  return canReach(account, join(binaries.folder, "bin")) ? binaries : copyPostgresBinaries(binaries, rootSharedFolder);
}

async function startOnFreePort(
  spec: PostmasterSpec,
  preferredPort: number | undefined,
  signal: AbortSignal,
): Promise<{ child: ChildProcess; port: number }> {
  // Only Postgres's own bind is reliable: a port can be taken between a check and the bind.
  let port = preferredPort ?? (await getPort({ host: "127.0.0.1" }));
  for (let tries = 1; tries <= 5; tries++) {
    const child = await startPostmaster(spec, port, signal);
    if (child) return { child, port };
    port = await getPort({ host: "127.0.0.1" });
  }
  throw new ConfigError(
    `Postgres found no free port on 127.0.0.1 (last tried: ${port}): free some ports, or set DATABASE_URL and QUEUE_URL`,
  );
}

async function ensureDatabase({ port, password, folder }: { port: number; password: string; folder: string }): Promise<void> {
  const client = new Client({ connectionString: urlOf(port, password, "postgres") });
  try {
    await client.connect();
    const { rowCount } = await client.query("select from pg_database where datname = $1", [database]);
    if (rowCount === 0) await client.query(`create database ${database}`);
  } catch (error) {
    throw new ConfigError(
      `The embedded Postgres in ${folder} refuses its own account: move the folder away and run \`rebuild\`, or set DATABASE_URL and QUEUE_URL`,
      { cause: error },
    );
  } finally {
    await client.end();
  }
}

function urlOf(port: number, password: string, name: string): string {
  return `postgres://${clusterUser}:${password}@127.0.0.1:${port}/${name}`;
}

type Supervision = {
  readonly log: Logger;
  readonly stopping: AbortController;
  readonly restart: () => Promise<ChildProcess | undefined>;
};

/** Restarts the server whenever it dies, until disposed. Workers see an interruption of about a second. */
function supervise(first: ChildProcess, { log, stopping, restart }: Supervision): AsyncDisposable {
  const { signal } = stopping;
  const aborted = once(signal, "abort");
  const supervision = (async () => {
    for (let child = first; ; child = await restartUntilUp(child)) {
      await Promise.race([aborted, waitForEnd(child)]);
      if (signal.aborted) return stopPostmaster(child);
      log.error({ exitCode: child.exitCode, signal: child.signalCode }, "embedded postgres died");
    }
  })();
  async function restartUntilUp(dead: ChildProcess): Promise<ChildProcess> {
    for (let delayMs = 0; !signal.aborted; delayMs = Math.min(delayMs * 2 + 200, maxRestartDelayMs)) {
      try {
        await sleep(delayMs, undefined, { signal });
        const child = await restart();
        if (child) return child;
        log.error("embedded postgres not restarted, port in use");
      } catch (err) {
        if (!signal.aborted) log.error({ err }, "embedded postgres not restarted");
      }
    }
    return dead;
  }
  return {
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await supervision;
    },
  };
}
