// Provides a command's engines: those that the settings name, and embedded ones for the rest.

import { type Environment, presentSettings } from "@actions-archive/core/config";
import type { Logger } from "@actions-archive/core/logger";
import { migrateQueue } from "@actions-archive/core/queue-engine";
import { migrateDatabase } from "@actions-archive/database/migration/migrate";
import { attachOrOpenEngines, type Engines, openEngines } from "@actions-archive/embedded/engine-folder";

import { findEmbedded, noArchiveHere } from "./find-embedded.ts";

/** Placeholders for engines that do not run yet or that the command does not use. */
const placeholders = {
  ARCHIVE_URL: "file:///embedded",
  DATABASE_URL: "postgres://embedded/embedded",
  QUEUE_URL: "postgres://embedded/embedded",
};

/** The environment with a placeholder for every URL that is not set, to validate the other settings. */
export function withPlaceholders(env: Environment): Record<string, string> {
  return { ...placeholders, ...presentSettings(env) };
}

export type EngineEnvironment = AsyncDisposable & {
  /** `env` with all three URLs; unused ones are placeholders. */
  readonly env: Record<string, string>;
  readonly engines: Engines;
};

export type EngineUrl = keyof typeof placeholders;

export type EngineRequest = {
  readonly dir: string;
  readonly log: Logger;
  /**
   * `own`: this process runs the engines, and is refused when another does. `attach`: uses running engines, or starts them for
   * the call.
   */
  readonly mode: "own" | "attach";
  /** The engines that the command uses; no other is started. All of them by default. */
  readonly uses?: readonly EngineUrl[];
  /** Attaching where there is no archive yet creates one. */
  readonly mayCreate?: boolean;
};

/**
 * Opens what no setting names and brings embedded databases up to date.
 * @throws ConfigError. PermanentError `usage/invalid` where a command attaches and there is no archive; nothing is created then.
 */
export async function openEngineEnvironment(env: Environment, request: EngineRequest): Promise<EngineEnvironment> {
  const { dir, log, mode, uses = ["DATABASE_URL", "QUEUE_URL", "ARCHIVE_URL"], mayCreate = mode === "own" } = request;
  const present = presentSettings(env);
  const isMissing = (name: EngineUrl) => uses.includes(name) && present[name] === undefined;
  const need = { database: isMissing("DATABASE_URL"), queue: isMissing("QUEUE_URL"), archive: isMissing("ARCHIVE_URL") };
  const isEmbedded = need.database || need.queue || need.archive;
  if (isEmbedded && !mayCreate && !(await findEmbedded(dir))) throw noArchiveHere(dir);
  const engines = await (mode === "own" ? openEngines : attachOrOpenEngines)({ dir, log, need });
  try {
    if (engines.owner && engines.databaseUrl !== undefined) await migrateDatabase(engines.databaseUrl, { log });
    if (engines.owner && engines.queueUrl !== undefined) await migrateQueue(new URL(engines.queueUrl));
  } catch (error) {
    await engines[Symbol.asyncDispose]();
    throw error;
  }
  const hasKey = present["SEAL_KEY"] !== undefined || present["SEAL_KEY_FILE"] !== undefined;
  const embedded = {
    DATABASE_URL: engines.databaseUrl,
    QUEUE_URL: engines.queueUrl,
    ARCHIVE_URL: engines.archiveUrl,
    SEAL_KEY_FILE: hasKey ? undefined : engines.sealKeyFile,
  };
  return {
    env: { ...withPlaceholders(present), ...presentSettings(embedded) },
    engines,
    [Symbol.asyncDispose]: () => engines[Symbol.asyncDispose](),
  };
}
