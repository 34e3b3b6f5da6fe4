// The schemas of all settings. Each process selects those that it uses.

import { createPrivateKey, createPublicKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { tmpdir } from "node:os";

import { z } from "zod";

import type { SettingsRule } from "./config.ts";

const days = 24 * 60 * 60 * 1000;

const url = (protocols: readonly string[], example: string) =>
  z
    .string()
    .refine((text) => URL.canParse(text) && protocols.includes(new URL(text).protocol), `must be a URL such as ${example}`)
    .transform((text) => new URL(text));

const integer = (minimum: number, fallback: number, maximum = Number.MAX_SAFE_INTEGER) =>
  z.coerce
    .number(`must be a whole number, ${minimum} or more`)
    .refine((n) => Number.isSafeInteger(n) && n >= minimum && n <= maximum, `must be a whole number, ${minimum} or more`)
    .default(fallback);

const isLoopback = (host: string) => host === "localhost" || host === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(host);

export const settings = {
  GITHUB_API_URL: url(["http:", "https:"], "https://api.github.com or https://HOST/api/v3")
    .refine(
      (api) => api.protocol === "https:" || isLoopback(api.hostname),
      "must be https; plain http reaches a loopback address only",
    )
    .refine((api) => api.username === "" && api.password === "" && api.search === "", "must hold neither credentials nor a query")
    .prefault("https://api.github.com"),
  GITHUB_HOST: z
    .string()
    .regex(/^[a-z0-9][a-z0-9._-]*$/, "must be a host name in lower case, as it stands in keys and views")
    .optional(),
  GITHUB_TOKEN: z.string().optional(),
  GITHUB_APP_ID: z.coerce.number("must be the App's numeric id").int().positive().optional(),
  GITHUB_APP_PRIVATE_KEY: privateKey((text) => text.replaceAll("\\n", "\n")).optional(),
  GITHUB_APP_PRIVATE_KEY_FILE: privateKey((path) => readFileSync(path, "utf8")).optional(),
  GITHUB_LOG_HOSTS: z.string().optional(),
  GITHUB_RESERVE_PERCENT: integer(0, 20, 99),
  GITHUB_WEBHOOK_SECRET: z
    .string()
    .transform((text) => text.split(",").map((secret) => secret.trim()))
    .refine(
      (secrets) => secrets.length <= 2 && !secrets.includes(""),
      "must be one secret, or two with a comma between them while one takes the place of the other",
    )
    .optional(),
  GITHUB_MAX_REQUESTS_PER_HOUR: z.coerce
    .number("must be a number of requests, 1 or more")
    .int("must be a whole number")
    .min(1, "must be 1 or more")
    .max(1_000_000_000, "must be 1,000,000,000 or less")
    .optional(),
  ARCHIVE_REPOSITORIES: z.string().optional(),
  ARCHIVE_SINCE: z
    .string()
    .transform((text, context) => parseSince(text) ?? context.addIssue("must be a date such as 2026-01-31 or a number of days"))
    .pipe(z.date())
    .optional(),
  ARCHIVE_URL: url(["s3:", "file:"], "s3://bucket/prefix or file:///path"),
  S3_ENDPOINT: url(["http:", "https:"], "https://s3.example.com").optional(),
  S3_FORCE_PATH_STYLE: z.stringbool("must be true or false").default(false),
  S3_OBJECT_LOCK_MODE: z.enum(["GOVERNANCE", "COMPLIANCE"], "must be GOVERNANCE or COMPLIANCE").optional(),
  S3_OBJECT_LOCK_DAYS: z.coerce.number("must be a number of days").int().positive().optional(),
  S3_KMS_KEY_ID: z.string().optional(),
  DATABASE_URL: url(["postgres:", "postgresql:"], "postgres://user@host:5432/database"),
  QUEUE_URL: url(["redis:", "rediss:", "postgres:", "postgresql:"], "redis://host:6379 or postgres://…"),
  SEAL_KEY: sealKey((text) => text.replaceAll("\\n", "\n")).optional(),
  SEAL_KEY_FILE: sealKey((path) => readFileSync(path, "utf8")).optional(),
  SEAL_INTERVAL_SECONDS: integer(1, 3600),
  SCRUB_DAYS: integer(1, 30),
  POLL_INTERVAL_SECONDS: integer(1, 60),
  RUN_SETTLE_SECONDS: integer(0, 120),
  LOG_WAIT_SECONDS: integer(0, 600),
  LOG_SETTLE_SECONDS: integer(0, 60),
  DOWNLOAD_CONCURRENCY: integer(1, 8, 256),
  MAX_LOG_BYTES: integer(1, 2 * 1024 ** 3),
  SPOOL_DIR: z.string().default(() => `${tmpdir()}/actions-archive-spool`),
  SPOOL_MAX_BYTES: integer(1, 4 * 1024 ** 3),
  LOG_LEVEL: z
    .enum(["fatal", "error", "warn", "info", "debug", "trace", "silent"], "must be a level such as info or debug")
    .default("info"),
  PORT: z.coerce.number("must be a port").int().min(0).max(65_535).optional(),
  SHUTDOWN_GRACE_SECONDS: integer(1, 25),
} as const;

/** The names of all settings. */
export const settingNames: readonly string[] = Object.keys(settings);

/** Settings of every worker. */
export const commonSettings = {
  GITHUB_API_URL: settings.GITHUB_API_URL,
  GITHUB_HOST: settings.GITHUB_HOST,
  ARCHIVE_URL: settings.ARCHIVE_URL,
  S3_ENDPOINT: settings.S3_ENDPOINT,
  S3_FORCE_PATH_STYLE: settings.S3_FORCE_PATH_STYLE,
  S3_OBJECT_LOCK_MODE: settings.S3_OBJECT_LOCK_MODE,
  S3_OBJECT_LOCK_DAYS: settings.S3_OBJECT_LOCK_DAYS,
  S3_KMS_KEY_ID: settings.S3_KMS_KEY_ID,
  DATABASE_URL: settings.DATABASE_URL,
  QUEUE_URL: settings.QUEUE_URL,
  LOG_LEVEL: settings.LOG_LEVEL,
  PORT: settings.PORT,
  SHUTDOWN_GRACE_SECONDS: settings.SHUTDOWN_GRACE_SECONDS,
} as const;

/** Settings of the workers that call GitHub. */
export const githubSettings = {
  GITHUB_TOKEN: settings.GITHUB_TOKEN,
  GITHUB_APP_ID: settings.GITHUB_APP_ID,
  GITHUB_APP_PRIVATE_KEY: settings.GITHUB_APP_PRIVATE_KEY,
  GITHUB_APP_PRIVATE_KEY_FILE: settings.GITHUB_APP_PRIVATE_KEY_FILE,
  GITHUB_LOG_HOSTS: settings.GITHUB_LOG_HOSTS,
  GITHUB_RESERVE_PERCENT: settings.GITHUB_RESERVE_PERCENT,
  GITHUB_MAX_REQUESTS_PER_HOUR: settings.GITHUB_MAX_REQUESTS_PER_HOUR,
} as const;

/** Settings of the processes that seal. */
export const sealSettings = {
  SEAL_KEY: settings.SEAL_KEY,
  SEAL_KEY_FILE: settings.SEAL_KEY_FILE,
  SEAL_INTERVAL_SECONDS: settings.SEAL_INTERVAL_SECONDS,
  SCRUB_DAYS: settings.SCRUB_DAYS,
} as const;

export const sealKeyRule: SettingsRule = (env) =>
  env["SEAL_KEY"] !== undefined && env["SEAL_KEY_FILE"] !== undefined
    ? "SEAL_KEY: unset it, or unset SEAL_KEY_FILE: one key seals"
    : undefined;

/** One credential: a token, or an App with its key. */
export const credentialRule: SettingsRule = (env) => {
  const hasAppKey = env["GITHUB_APP_PRIVATE_KEY"] !== undefined || env["GITHUB_APP_PRIVATE_KEY_FILE"] !== undefined;
  if (env["GITHUB_TOKEN"] !== undefined && env["GITHUB_APP_ID"] !== undefined)
    return "GITHUB_TOKEN: unset it, or unset GITHUB_APP_ID: one credential is used";
  if (env["GITHUB_APP_ID"] !== undefined)
    return hasAppKey ? undefined : "GITHUB_APP_PRIVATE_KEY_FILE: is required with GITHUB_APP_ID (or GITHUB_APP_PRIVATE_KEY)";
  return env["GITHUB_TOKEN"] === undefined
    ? "GITHUB_TOKEN: is required (or GITHUB_APP_ID with GITHUB_APP_PRIVATE_KEY_FILE)"
    : undefined;
};

/** With a token the repositories must be named; an App archives the repositories of its installations. */
export const repositoriesRule: SettingsRule = (env) =>
  env["GITHUB_APP_ID"] === undefined && env["ARCHIVE_REPOSITORIES"] === undefined
    ? "ARCHIVE_REPOSITORIES: is required with a token, such as my-org/*,!my-org/private-*"
    : undefined;

export const spoolRule: SettingsRule = (env) => {
  const [spool, log] = [
    settings.SPOOL_MAX_BYTES.safeParse(env["SPOOL_MAX_BYTES"]),
    settings.MAX_LOG_BYTES.safeParse(env["MAX_LOG_BYTES"]),
  ];
  return spool.success && log.success && spool.data < log.data
    ? "SPOOL_MAX_BYTES: must be at least MAX_LOG_BYTES, or the largest log never fits"
    : undefined;
};

export const objectLockRule: SettingsRule = (env) =>
  (env["S3_OBJECT_LOCK_MODE"] === undefined) !== (env["S3_OBJECT_LOCK_DAYS"] === undefined)
    ? "S3_OBJECT_LOCK_DAYS: goes with S3_OBJECT_LOCK_MODE; set both or none"
    : undefined;

/** The host's name in keys and views: github.com, acme.ghe.com, or the host of a GHES with its port if it is not the default. */
export function githubHost(apiUrl: URL, override: string | undefined): string {
  if (override !== undefined) return override;
  const host = apiUrl.hostname
    .toLowerCase()
    .replace(/^\[|\]$/g, "")
    .replaceAll(":", "-");
  if (host === "api.github.com") return "github.com";
  const dataResidency = /^api\.([a-z0-9-]+\.ghe\.com)$/.exec(host)?.[1];
  return dataResidency ?? (apiUrl.port ? `${host}_${apiUrl.port}` : host);
}

/** Parses a date, or a number of days before now; undefined for any other text. */
export function parseSince(text: string, now = new Date()): Date | undefined {
  if (/^\d+$/.test(text)) return new Date(now.getTime() - Number(text) * days);
  const isIso = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?$/.test(text);
  const date = new Date(isIso && text.includes("T") && !/(Z|[+-]\d{2}:?\d{2})$/.test(text) ? `${text}Z` : text);
  return isIso && !Number.isNaN(date.getTime()) ? date : undefined;
}

function sealKey(read: (text: string) => string) {
  return z.string().transform((text, context) => {
    try {
      const pem = read(text);
      if (createPrivateKey(pem).asymmetricKeyType === "ed25519") return pem;
    } catch {
      // The cause may quote the key, so it is dropped.
    }
    context.addIssue("must be, or name a file with, an Ed25519 private key in PEM: openssl genpkey -algorithm ed25519");
    return z.NEVER;
  });
}

function privateKey(read: (text: string) => string) {
  return z.string().transform((text, context) => {
    try {
      const pem = read(text);
      createPublicKey(pem);
      return pem;
    } catch {
      context.addIssue("must be, or name a file with, a private key in PEM");
      return z.NEVER;
    }
  });
}
