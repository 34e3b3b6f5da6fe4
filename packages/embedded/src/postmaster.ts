// Starts and stops a Postgres server process, and stops one that outlived its parent.

import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { open, readdir, readFile, readlink, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

import { ConfigError } from "@actions-archive/core/errors";

import type { PostgresAccount } from "./postgres-account.ts";

export type PostmasterSpec = {
  /** The `postgres` binary. */
  readonly binary: string;
  readonly dataFolder: string;
  readonly logFile: string;
  readonly account: PostgresAccount;
  /** Postgres settings, as `-c name=value`. */
  readonly settings: Readonly<Record<string, string>>;
};

/** Postgres does not inherit this process's environment: PGDATA, PGOPTIONS and a locale would change its behaviour. Messages are matched in English. */
export const postgresEnvironment = { PATH: "/usr/bin:/bin", LC_ALL: "C", TZ: "UTC" };

// Crash recovery after a kill -9 replays at most max_wal_size, which takes far less than a minute.
const startTimeoutMs = 60_000;
// https://www.postgresql.org/docs/18/server-shutdown.html: fast, then immediate.
const stopSteps = [
  ["SIGINT", 60_000],
  ["SIGQUIT", 10_000],
] as const;
const pollMs = 50;
const maxLogBytes = 10 * 1024 * 1024;

/**
 * Starts Postgres on `port` and waits up to 60 s until it accepts connections, including crash recovery and the end of an earlier server's
 * processes. It has a session of its own, so Ctrl-C in the terminal reaches only this process, which stops it last.
 * @returns undefined if another process listens on `port`.
 * @throws ConfigError with the end of Postgres's log; `signal.reason` when aborted, after the server has stopped.
 */
export async function startPostmaster(
  spec: PostmasterSpec,
  port: number,
  signal: AbortSignal,
): Promise<ChildProcess | undefined> {
  const deadline = Date.now() + startTimeoutMs;
  for (;;) {
    await stopOrphan(spec.dataFolder);
    const { child, logOffset } = await spawnPostmaster(spec, port);
    if (await becomesReady(child, spec.dataFolder, { deadline, signal })) return child;
    await stopPostmaster(child);
    signal.throwIfAborted();
    const log = await readLogFrom(spec.logFile, logOffset);
    if (log.includes("could not create any TCP/IP sockets")) return undefined;
    // An orphan that was still starting during the check, or, where they cannot be listed, the children of a killed server. The next
    // iteration finds the former; the latter end by themselves.
    const isTemporary =
      log.includes("pre-existing shared memory block") || log.includes('lock file "postmaster.pid" already exists');
    if (isTemporary && Date.now() < deadline) {
      await sleep(pollMs);
      continue;
    }
    throw new ConfigError(
      `The embedded Postgres in ${spec.dataFolder} did not start within ${startTimeoutMs / 1000} s. The cause is at the end of ${spec.logFile}:\n${lastLines(log)}\nRemove the cause, move the folder away, or set DATABASE_URL and QUEUE_URL`,
    );
  }
}

/** Fast shutdown: disconnects clients and writes all data. Resolves when the process has ended; does nothing if it had ended before. */
export async function stopPostmaster(child: ChildProcess): Promise<void> {
  const ended = waitForEnd(child);
  const [[fast, idleTimeoutMs], [immediate]] = stopSteps;
  child.kill(fast);
  const force = setTimeout(() => child.kill(immediate), idleTimeoutMs);
  await ended;
  clearTimeout(force);
}

/** Resolves when the process has ended, immediately if it had ended before. */
export async function waitForEnd(child: ChildProcess): Promise<void> {
  if (!hasEnded(child)) await once(child, "exit");
}

/**
 * Stops the processes that a killed owner left running on `dataFolder`: a complete server, or the children of a killed one, which must not
 * write concurrently with a new server. Then removes a `postmaster.pid` whose pid now belongs to another program (after a reboot, or in a
 * container), which Postgres would mistake for a server. Idempotent.
 * @param dataFolder the real path.
 * @throws ConfigError when a process does not end.
 */
export async function stopOrphan(dataFolder: string): Promise<void> {
  for (const [signal, timeoutMs] of stopSteps) {
    for (const deadline = Date.now() + timeoutMs; Date.now() < deadline; await sleep(pollMs)) {
      const running = await findProcesses(dataFolder);
      const postmaster = await readPostmasterFile(dataFolder);
      if (running.length === 0) {
        if (postmaster && kill(postmaster.pid, 0)) await rm(join(dataFolder, "postmaster.pid"), { force: true });
        return;
      }
      // SIGINT has another meaning for a child process, which ends by itself without a server.
      for (const pid of running) if (signal === "SIGQUIT" || pid === postmaster?.pid) kill(pid, signal);
    }
  }
  const pids = (await findProcesses(dataFolder)).join(" ");
  throw new ConfigError(
    `Postgres of an earlier run in ${dataFolder} does not stop: end it with kill -9 ${pids}, then start again`,
  );
}

async function spawnPostmaster(spec: PostmasterSpec, port: number): Promise<{ child: ChildProcess; logOffset: number }> {
  const size = (await stat(spec.logFile).catch(() => undefined))?.size ?? 0;
  if (size > maxLogBytes) await rename(spec.logFile, `${spec.logFile}.old`);
  await using log = await open(spec.logFile, "a", 0o600);
  const settings = { ...spec.settings, port: String(port) };
  const child = spawn(
    spec.binary,
    ["-D", spec.dataFolder, ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`])],
    {
      ...spec.account,
      cwd: "/",
      env: postgresEnvironment,
      detached: true,
      stdio: ["ignore", log.fd, log.fd],
    },
  );
  try {
    await once(child, "spawn");
  } catch (error) {
    throw new ConfigError(`Cannot run ${spec.binary}: reinstall, or set DATABASE_URL and QUEUE_URL`, { cause: error });
  }
  return { child, logOffset: size > maxLogBytes ? 0 : size };
}

async function becomesReady(
  child: ChildProcess,
  dataFolder: string,
  { deadline, signal }: { deadline: number; signal: AbortSignal },
): Promise<boolean> {
  while (!hasEnded(child) && !signal.aborted && Date.now() < deadline) {
    const found = await readPostmasterFile(dataFolder);
    if (found?.isReady && found.pid === child.pid) return true;
    await sleep(pollMs);
  }
  return false;
}

/** https://www.postgresql.org/docs/18/storage-file-layout.html: the first line is the pid, the eighth the status. */
async function readPostmasterFile(dataFolder: string): Promise<{ pid: number; isReady: boolean } | undefined> {
  const text = await readFile(join(dataFolder, "postmaster.pid"), "utf8").catch(() => "");
  const lines = text.split("\n");
  const pid = Math.abs(Number(lines[0]));
  return Number.isSafeInteger(pid) && pid > 1 ? { pid, isReady: lines[7]?.trim() === "ready" } : undefined;
}

/** The Postgres processes on exactly this folder, without zombies; on macOS only the server. */
async function findProcesses(dataFolder: string): Promise<number[]> {
  if (process.platform !== "linux") {
    const { stdout } = await promisify(execFile)("ps", ["-axo", "pid=,command="]);
    const servers = stdout.split("\n").filter((line) => line.includes(`/postgres -D ${dataFolder} `));
    return servers.map((line) => Number.parseInt(line, 10));
  }
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => {
      // Postgres's working directory is its data folder. A process that has ended or cannot be inspected is not ours.
      if ((await readlink(`/proc/${pid}/cwd`).catch(() => "")) !== dataFolder) return [];
      const name = await readFile(`/proc/${pid}/comm`, "utf8").catch(() => "");
      return name.trim() === "postgres" ? [Number(pid)] : [];
    }),
  );
  return found.flat();
}

/** @returns false if there is no such process, or it may not be signalled. */
function kill(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

async function readLogFrom(logFile: string, offset: number): Promise<string> {
  return (await readFile(logFile)).subarray(offset).toString("utf8");
}

function lastLines(log: string): string {
  return log.trimEnd().split("\n").slice(-5).join("\n");
}
