// The Redis server of a test run: the one named by TEST_REDIS_URL, or redis-server from the PATH, which is installed where possible.

import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

import { exists } from "@actions-archive/embedded/postgres-binaries";
import getPort from "get-port";
import { Redis } from "ioredis";

export type TestRedisServer = AsyncDisposable & {
  readonly provided: { readonly url: string } | { readonly missing: string };
};

const run = promisify(execFile);
const cure =
  "install redis-server (apt-get install redis-server, brew install redis), or set TEST_REDIS_URL to a Redis that does not evict";

/**
 * Uses the server at `url`, or starts one, which disposing stops. Does not fail without a server: the tests that need one fail, with
 * instructions.
 */
export async function openTestRedis({ url, folder }: { url: string | undefined; folder: string }): Promise<TestRedisServer> {
  if (url) return { provided: { url }, [Symbol.asyncDispose]: async () => {} };
  try {
    if (!(await isInstalled("redis-server"))) await installRedis();
    return await startRedis(folder);
  } catch (error) {
    const reason = Error.isError(error) ? error.message : String(error);
    return { provided: { missing: `This test needs Redis: ${cure}. (${reason})` }, [Symbol.asyncDispose]: async () => {} };
  }
}

/** Stops the server that a killed run left, identified by its socket. */
export async function stopAbandonedRedis(runFolder: string): Promise<void> {
  if (!(await exists(socketIn(runFolder)))) return;
  const client = new Redis(socketIn(runFolder), { lazyConnect: true, retryStrategy: () => null });
  client.on("error", () => {});
  await client.call("shutdown", "nosave").catch(() => undefined);
  client.disconnect();
}

async function startRedis(folder: string): Promise<TestRedisServer> {
  const port = await getPort({ host: "127.0.0.1" });
  const child = await launchRedis({ port, folder, settings: { unixsocket: socketIn(folder) } });
  return {
    provided: { url: `redis://127.0.0.1:${port}` },
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill("SIGTERM");
      await once(child, "exit");
    },
  };
}

/** Starts redis-server on a port of 127.0.0.1 in `folder`, without persistence, and waits until it answers. */
export async function launchRedis(options: {
  readonly port: number;
  readonly folder: string;
  /** Override the defaults, for example `appendonly: "yes"`. */
  readonly settings?: Readonly<Record<string, string>>;
}): Promise<ChildProcess> {
  const settings = {
    bind: "127.0.0.1",
    port: String(options.port),
    dir: options.folder,
    logfile: "redis.log",
    save: "",
    appendonly: "no",
    "maxmemory-policy": "noeviction",
    ...options.settings,
  };
  const child = spawn(
    "redis-server",
    Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]),
    { stdio: "ignore" },
  );
  await waitUntilItAnswers(`redis://127.0.0.1:${options.port}`, child);
  return child;
}

async function waitUntilItAnswers(url: string, child: ChildProcess): Promise<void> {
  const client = new Redis(url, { retryStrategy: () => 20, maxRetriesPerRequest: null });
  client.on("error", () => {});
  const ended = once(child, "exit").then(([code]) => {
    throw new Error(`redis-server ended with ${code} at its start`);
  });
  try {
    await Promise.race([client.ping(), ended]);
  } finally {
    client.disconnect();
    ended.catch(() => undefined);
  }
}

async function installRedis(): Promise<void> {
  if (process.getuid?.() !== 0 || !(await isInstalled("apt-get"))) throw new Error("redis-server is not on the PATH");
  // Without this file Debian starts a daemon on installation: https://people.debian.org/~hmh/invokerc.d-policyrc.d-specification.txt
  const guard = "/usr/sbin/policy-rc.d";
  const isGuarded = await exists(guard);
  if (!isGuarded) await writeFile(guard, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  const install = () =>
    run("apt-get", ["-o", "DPkg::Lock::Timeout=120", "install", "-y", "--no-install-recommends", "redis-server"]);
  try {
    await install().catch(async () => {
      await run("apt-get", ["-o", "DPkg::Lock::Timeout=120", "update"]);
      await install();
    });
  } finally {
    if (!isGuarded) await rm(guard, { force: true });
  }
}

async function isInstalled(program: string): Promise<boolean> {
  return run(program, ["--version"]).then(
    () => true,
    () => false,
  );
}

function socketIn(folder: string): string {
  return join(folder, "redis.sock");
}
