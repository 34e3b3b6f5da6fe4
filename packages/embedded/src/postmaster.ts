// One Postgres server process: start it, wait until it answers, stop it, and find one that outlived whoever started it.

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

/** Nothing of ours may reach Postgres: PGDATA, PGOPTIONS and a locale would change what it does. Messages must stay English. */
export const postgresEnvironment = { PATH: "/usr/bin:/bin", LC_ALL: "C", TZ: "UTC" };

// Crash recovery after a kill -9 replays at most max_wal_size; a minute is far more than that takes.
const startTimeoutMs = 60_000;
// https://www.postgresql.org/docs/18/server-shutdown.html: fast, then immediate.
const stopSteps = [
  ["SIGINT", 60_000],
  ["SIGQUIT", 10_000],
] as const;
const pollMs = 50;
const maxLogBytes = 10 * 1024 * 1024;

/**
 * Starts Postgres on `port` and waits until it takes connections, through crash recovery and the dying of an earlier server's
 * processes, up to 60 s. It is in a session of its own: Ctrl-C in the terminal reaches us, not it, so that we end before it.
 * @returns undefined when somebody else listens on `port`.
 * @throws ConfigError with the end of Postgres' log; `signal.reason` when aborted, after the server has stopped.
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
    // An orphan that was still starting when we looked, or, where we cannot see them, the children of a killed server: the next
    // round finds the first, and the others end by themselves.
    const passes = log.includes("pre-existing shared memory block") || log.includes('lock file "postmaster.pid" already exists');
    if (passes && Date.now() < deadline) {
      await sleep(pollMs);
      continue;
    }
    throw new ConfigError(
      `The embedded Postgres in ${spec.dataFolder} did not start within ${startTimeoutMs / 1000} s. The cause is at the end of ${spec.logFile}:\n${lastLines(log)}\nCure it, or move that folder away, or set DATABASE_URL and QUEUE_URL`,
    );
  }
}

/** Fast shutdown: clients are cut, everything is written. Resolves when the process has ended; does nothing to an ended one. */
export async function stopPostmaster(child: ChildProcess): Promise<void> {
  const ended = waitForEnd(child);
  const [[fast, idleTimeoutMs], [immediate]] = stopSteps;
  child.kill(fast);
  const force = setTimeout(() => child.kill(immediate), idleTimeoutMs);
  await ended;
  clearTimeout(force);
}

/** Resolves when the process has ended, at once when it has before. */
export async function waitForEnd(child: ChildProcess): Promise<void> {
  if (!hasEnded(child)) await once(child, "exit");
}

/**
 * Ends what a killed process of ours left running on `dataFolder`: a whole server, or the children of a killed one, which must
 * not write beside a new one. Then clears a `postmaster.pid` whose number now belongs to another program (after a reboot, or in
 * a container), which Postgres would take for a server. Idempotent.
 * @param dataFolder its real path.
 * @throws ConfigError when something does not end.
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
      // To a child, SIGINT means something else; without a server it ends by itself.
      for (const pid of running) if (signal === "SIGQUIT" || pid === postmaster?.pid) kill(pid, signal);
    }
  }
  const pids = (await findProcesses(dataFolder)).join(" ");
  throw new ConfigError(
    `Postgres of an earlier run (${dataFolder}) does not stop: end it with kill -9 ${pids}, then start again`,
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
    throw new ConfigError(`Cannot run ${spec.binary}: install again, or set DATABASE_URL and QUEUE_URL`, { cause: error });
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

/** The processes of Postgres on exactly this folder; on macOS the server alone. Zombies, which do nothing any more, are left out. */
async function findProcesses(dataFolder: string): Promise<number[]> {
  if (process.platform !== "linux") {
    const { stdout } = await promisify(execFile)("ps", ["-axo", "pid=,command="]);
    const servers = stdout.split("\n").filter((line) => line.includes(`/postgres -D ${dataFolder} `));
    return servers.map((line) => Number.parseInt(line, 10));
  }
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => {
      // Postgres works in its data folder. A process that has ended, or that we may not look at, is none of ours.
      if ((await readlink(`/proc/${pid}/cwd`).catch(() => "")) !== dataFolder) return [];
      const name = await readFile(`/proc/${pid}/comm`, "utf8").catch(() => "");
      return name.trim() === "postgres" ? [Number(pid)] : [];
    }),
  );
  return found.flat();
}

/** @returns false when there is no such process, or it is not ours to signal. */
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
