// Reads `.env` of the working directory into the environment, without a word where there is none.

import { existsSync } from "node:fs";
import { loadEnvFile as load } from "node:process";

import { errorMessage } from "./error-message.ts";
import { ConfigError } from "./errors.ts";

/** Variables that are set already keep their value. @throws ConfigError when the file is there and cannot be read. */
export function loadEnvFile(path = ".env"): void {
  if (!existsSync(path)) return;
  try {
    load(path);
  } catch (error) {
    throw new ConfigError(`${path} cannot be read: ${errorMessage(error)}`, { cause: error });
  }
}
