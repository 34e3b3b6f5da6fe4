// What every command uses: streams, output, logging, signals and exit codes.

import type { Environment } from "@actions-archive/core/config";
import { escapeJson } from "@actions-archive/core/escape-json";
import { createLogger, type Logger, type LogLevel } from "@actions-archive/core/logger";
import { exitCodeOf } from "@actions-archive/core/service";
import { settings } from "@actions-archive/core/settings";
import { CommanderError, InvalidArgumentError } from "commander";
import { destination } from "pino";

import { showLines } from "./terminal-safe.ts";

export type CommandContext = {
  readonly env: Environment;
  readonly stdin: NodeJS.ReadStream;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  /** The folder of the embedded engines and their archive: `--dir`. */
  readonly dir: string;
};

/** Something failed, is pending, or is not covered. */
export const exitIncomplete = 3;

/** 0 for requested help, 2 for wrong usage, 78 for settings, 2 for other errors. */
export function exitCodeOfCommand(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  return exitCodeOf(error);
}

/** A command's own logger: on stderr, at `fallback` level unless LOG_LEVEL is set. */
export function createCommandLogger({ env }: CommandContext, fallback: LogLevel = "warn"): Logger {
  const level = env["LOG_LEVEL"] ? settings.LOG_LEVEL.safeParse(env["LOG_LEVEL"]).data : undefined;
  return createLogger("actions-archive", level ?? fallback, destination({ dest: 2, sync: true }));
}

/** Prints text for people, made safe for a terminal, since names and messages in it are untrusted. */
export function print({ stdout }: CommandContext, text: string): void {
  stdout.write(showLines(text.endsWith("\n") ? text : `${text}\n`));
}

/** Prints one JSON document, unchanged except that control characters are escaped. */
export function printJson({ stdout }: CommandContext, value: unknown): void {
  stdout.write(`${escapeJson(JSON.stringify(value, null, 2))}\n`);
}

/**
 * Returns a signal that aborts at the first SIGINT or SIGTERM with the message that the command prints before it exits with 2. A
 * second one terminates the process.
 */
export function stopOnSignal(): AbortSignal {
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () =>
      stop.abort(
        new DOMException(`Stopped by ${signal}. Completed work is kept: run the command again to continue.`, "AbortError"),
      ),
    );
  }
  return stop.signal;
}

/** Seconds as an option. @throws InvalidArgumentError */
export function parseSeconds(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError("must be a whole number of seconds");
  return Number(text);
}
