// The settings of commands that read what is archived and call GitHub never.

import { type Environment, loadConfig } from "@actions-archive/core/config";
import { commonSettings, objectLockRule, sealKeyRule, sealSettings } from "@actions-archive/core/settings";
import { z } from "zod";

const EngineConfig = z.object({ ...commonSettings, ...sealSettings });
export type EngineConfig = Readonly<z.output<typeof EngineConfig>>;

/** @throws ConfigError that names every wrong setting. */
export function loadEngineConfig(env: Environment): EngineConfig {
  return loadConfig(EngineConfig, env, [objectLockRule, sealKeyRule]);
}
