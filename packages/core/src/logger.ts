// One root logger per process, passed as an argument and narrowed by `child` where a job starts. JSON on stdout, unless told.

import { type DestinationStream, type Logger, pino } from "pino";

export type { Logger } from "pino";

const secretNames = [
  "authorization",
  "token",
  "GITHUB_TOKEN",
  "GITHUB_APP_PRIVATE_KEY",
  "GITHUB_APP_PRIVATE_KEY_FILE",
  "GITHUB_WEBHOOK_SECRET",
  "SEAL_KEY",
  "SEAL_KEY_FILE",
  "DATABASE_URL",
  "QUEUE_URL",
];

/** Where a secret could reach a log line by mistake: alone, in a configuration, in a request's headers. */
const redactedPaths = secretNames.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]);

export type LogLevel = "fatal" | "error" | "warn" | "info" | "debug" | "trace" | "silent";

/** @param destination where the lines go; stdout by default. */
export function createLogger(name: string, level: LogLevel, destination?: DestinationStream): Logger {
  const options = { name, level, redact: { paths: redactedPaths, censor: "[redacted]" } };
  return destination ? pino(options, destination) : pino(options);
}
