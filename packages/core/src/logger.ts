// Creates a process's root logger, which writes JSON to stdout. It is passed as an argument, with a `child` for each job.

import { type DestinationStream, type Logger, pino, stdSerializers } from "pino";

import { escapeJson } from "./escape-json.ts";

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

/** Places where a secret could be logged by mistake: as a field, in a configuration, in a request's headers. */
const redactedPaths = secretNames.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]);

/**
 * The fields of an error that are logged. Other fields may contain secrets: ioredis adds the failed command, which is AUTH with the password
 * when Redis refuses it, and pg adds the client with its settings.
 */
const errorFields = [
  ["type", "message", "stack", "code", "retryAt", "aggregateErrors"],
  ["syscall", "hostname", "address", "port", "$metadata"],
  ["severity", "detail", "hint", "schema", "table", "column", "constraint"],
].flat();

export type LogLevel = "fatal" | "error" | "warn" | "info" | "debug" | "trace" | "silent";

/** Creates a root logger. @param destination stdout by default. */
export function createLogger(name: string, level: LogLevel, destination?: DestinationStream): Logger {
  const options = {
    name,
    level,
    redact: { paths: redactedPaths, censor: "[redacted]" },
    serializers: { err: writeError },
    hooks: { streamWrite: escapeJson },
  };
  return destination ? pino(options, destination) : pino(options);
}

function writeError(error: unknown): unknown {
  return Error.isError(error) ? pickFields(stdSerializers.err(error)) : error;
}

type WrittenError = ReturnType<typeof stdSerializers.err>;

function pickFields(written: WrittenError): Record<string, unknown> {
  const fields = new Map<string, unknown>(Object.entries(written));
  const { aggregateErrors } = written;
  if (aggregateErrors !== undefined) fields.set("aggregateErrors", aggregateErrors.map(pickFields));
  return Object.fromEntries(
    errorFields.filter((field) => fields.get(field) !== undefined).map((field) => [field, fields.get(field)]),
  );
}
