// Runs the project's programs as an operator does: as processes whose environment holds only the given settings.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

export type Settings = Readonly<Record<string, string>>;

export type Ended = {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  /** stdout, undecoded. */
  readonly stdoutBytes: Buffer;
  readonly stderr: string;
};

export type ProgramOptions = {
  /** Working directory; embedded engines are created below it. */
  readonly cwd: string;
  readonly settings: Settings;
  /** Starts a process group, which a test can kill as a whole. */
  readonly isGroupLeader?: boolean;
};

/** Disposing it before its end kills it. */
export type Program = AsyncDisposable & {
  readonly pid: number;
  readonly ended: Promise<Ended>;
  readonly stop: (signal: NodeJS.Signals) => void;
  /** @returns stdout until now. */
  readonly printed: () => string;
  /** Resolves once stdout contains `text` `times` times. Rejects when the program ends before. */
  readonly prints: (text: string, times?: number) => Promise<void>;
};

const root = fileURLToPath(new URL("../../", import.meta.url));

/** @returns the path of `packages/NAME/src/main.ts`. */
export function mainOf(name: "cli" | "fetcher" | "loader" | "log-worker"): string {
  return `${root}packages/${name}/src/main.ts`;
}

/** Starts a program of the project. */
export function startProgram(main: string, args: readonly string[], options: ProgramOptions): Program {
  const { cwd, settings, isGroupLeader = false } = options;
  // HOME is the working directory, whose content tests check.
  const env = { NODE_DISABLE_COMPILE_CACHE: "1", PATH: "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", HOME: cwd, ...settings };
  const child = spawn(process.execPath, [main, ...args], {
    cwd,
    env,
    detached: isGroupLeader,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [stdout, stderr]: [Buffer[], Buffer[]] = [[], []];
  child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => stderr.push(chunk));
  const textOf = (chunks: readonly Buffer[]) => Buffer.concat(chunks).toString("utf8");
  const printed = () => textOf(stdout);
  // `close` comes after the last byte of both streams.
  const ended = once(child, "close").then((): Ended => ({
    code: child.exitCode,
    signal: child.signalCode,
    stdout: printed(),
    stdoutBytes: Buffer.concat(stdout),
    stderr: textOf(stderr),
  }));
  return {
    // Undefined only when the program could not be started. Then `ended` rejects.
    pid: child.pid ?? 0,
    ended,
    stop: (signal) => void child.kill(signal),
    printed,
    async prints(text, times = 1) {
      while (printed().split(text).length - 1 < times) {
        const next = await Promise.race([once(child.stdout, "data"), ended]);
        if ("code" in next) throw new Error(`the program ended before it printed ${text}: ${next.stdout}${next.stderr}`);
      }
    },
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
      await ended;
    },
  };
}

/** Runs a command of the CLI to its end. */
export async function runCli(args: readonly string[], options: ProgramOptions): Promise<Ended> {
  await using program = startProgram(mainOf("cli"), args, options);
  return await program.ended;
}
