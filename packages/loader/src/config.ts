// The loader's settings: the common ones. It calls GitHub never, and holds no credential.

import { type Environment, loadConfig } from "@actions-archive/core/config";
import { commonSettings, objectLockRule } from "@actions-archive/core/settings";
import { z } from "zod";

const LoaderConfig = z.object(commonSettings);
export type LoaderConfig = Readonly<z.output<typeof LoaderConfig>>;

/** @throws ConfigError that names every wrong setting. */
export function loadLoaderConfig(env: Environment): LoaderConfig {
  return loadConfig(LoaderConfig, env, [objectLockRule]);
}
