// The engines of a command: those that settings name, and embedded ones for the rest.
import { type Environment, presentSettings } from "@actions-archive/core/config";
import type { Logger } from "@actions-archive/core/logger";
import { migrateQueue } from "@actions-archive/core/queue-engine";
import { migrateDatabase } from "@actions-archive/database/migrate";

import { attachOrOpenEngines, type Engines, openEngines } from "./embedded/engine-folder.ts";

/** Stand-ins while settings are checked before any engine runs. */
const placeholders = {
  ARCHIVE_URL: "file:///embedded",
  DATABASE_URL: "postgres://embedded/embedded",
  QUEUE_URL: "postgres://embedded/embedded",
};

/** The environment with a stand-in for every URL that is not set, to check the rest of it. */
export function withPlaceholders(env: Environment): Record<string, string> {
  return { ...placeholders, ...presentSettings(env) };
}

export type EngineEnvironment = AsyncDisposable & {
  /** `env` with all three URLs. */
  readonly env: Record<string, string>;
  readonly engines: Engines;
};

export type EngineRequest = {
  readonly dir: string;
  readonly log: Logger;
  /** `own`: this process runs them, and is refused where another does. `attach`: uses running ones, or runs them for the call. */
  readonly mode: "own" | "attach";
};

/** Opens what no setting names and brings embedded databases up to date. @throws ConfigError */
export async function openEngineEnvironment(env: Environment, { dir, log, mode }: EngineRequest): Promise<EngineEnvironment> {
  const present = presentSettings(env);
  const need = { database: !present["DATABASE_URL"], queue: !present["QUEUE_URL"], archive: !present["ARCHIVE_URL"] };
  const engines = await (mode === "own" ? openEngines : attachOrOpenEngines)({ dir, log, need });
  try {
    if (engines.owner && engines.databaseUrl !== undefined) await migrateDatabase(engines.databaseUrl);
    if (engines.owner && engines.queueUrl !== undefined) await migrateQueue(new URL(engines.queueUrl));
  } catch (error) {
    await engines[Symbol.asyncDispose]();
    throw error;
  }
  const embedded = { DATABASE_URL: engines.databaseUrl, QUEUE_URL: engines.queueUrl, ARCHIVE_URL: engines.archiveUrl };
  return {
    env: { ...present, ...presentSettings(embedded) },
    engines,
    [Symbol.asyncDispose]: () => engines[Symbol.asyncDispose](),
  };
}
