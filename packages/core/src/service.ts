// Runs a worker process: settings, start, signals, stop, exit codes.

import { once } from "node:events";

import { ConfigError } from "./errors.ts";
import { loadEnvFile } from "./load-env-file.ts";
import { createLogger, type Logger, type LogLevel } from "./logger.ts";
import type { Metrics } from "./metrics.ts";

/** EX_CONFIG of sysexits.h: settings are wrong, or an engine is unusable. */
export const exitConfig = 78;

export type Service = {
  readonly log: Logger;
  /** Aborts with the signal's name when the process receives SIGTERM or SIGINT. */
  readonly stopping: AbortSignal;
  /** Opened resources, closed in reverse order. Open the consumer last, so that it drains first. */
  readonly resources: AsyncDisposableStack;
  /** What the process measures; in a process with several workers, they share it. */
  readonly metrics?: Metrics | undefined;
};

export type ServiceConfig = { readonly LOG_LEVEL: LogLevel; readonly SHUTDOWN_GRACE_SECONDS: number };

/**
 * Runs one worker until SIGTERM or SIGINT, then closes its resources, and the process exits with 0. Work that still runs after
 * SHUTDOWN_GRACE_SECONDS is abandoned: the process exits with 2, and the queue gives the work to another. Wrong settings exit with 78, a
 * failed start with 2.
 */
export async function runService<C extends ServiceConfig>(
  name: string,
  loadConfig: () => C,
  start: (config: C, service: Service) => Promise<void>,
): Promise<void> {
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stop.abort(signal));
  let log = createLogger(name, "info");
  try {
    loadEnvFile();
    const config = loadConfig();
    log = createLogger(name, config.LOG_LEVEL);
    await using resources = new AsyncDisposableStack();
    await start(config, { log, stopping: stop.signal, resources });
    log.info("started");
    if (!stop.signal.aborted) await once(stop.signal, "abort");
    log.info({ reason: stop.signal.reason }, "stopping");
    exitAfter(config.SHUTDOWN_GRACE_SECONDS, log);
  } catch (error) {
    process.exitCode = exitCodeOf(error);
    if (error instanceof ConfigError) log.fatal(error.message);
    else log.fatal({ err: error }, "failed to run");
    exitAfter(2, log);
    return;
  }
  log.info("stopped");
}

/** 78 for wrong settings and unusable engines, 2 for all other errors. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof ConfigError) return exitConfig;
  if (error instanceof SuppressedError) return Math.max(exitCodeOf(error.error), exitCodeOf(error.suppressed));
  return 2;
}

// Unreferenced, since the deadline must not keep the process alive.
function exitAfter(seconds: number, log: Logger): void {
  setTimeout(() => {
    log.fatal({ afterSeconds: seconds }, "shutdown deadline passed");
    process.exit(process.exitCode === undefined || process.exitCode === 0 ? 2 : process.exitCode);
  }, seconds * 1000).unref();
}
