// The loader's settings: the common ones and the sealing key. It sends no request to GitHub and has no credential.

import { type Environment, loadConfig } from "@actions-archive/core/config";
import { commonSettings, objectLockRule, sealKeyRule, sealSettings } from "@actions-archive/core/settings";
import { z } from "zod";

export const loaderSettings = { ...commonSettings, ...sealSettings } as const;
export const loaderRules = [objectLockRule, sealKeyRule] as const;

const LoaderConfig = z.object(loaderSettings);
export type LoaderConfig = Readonly<z.output<typeof LoaderConfig>>;

/** @throws ConfigError that names every wrong setting. */
export function loadLoaderConfig(env: Environment): LoaderConfig {
  return loadConfig(LoaderConfig, env, loaderRules);
}
