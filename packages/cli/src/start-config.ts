// The settings of all workers in one process.

import { type Environment, loadConfig } from "@actions-archive/core/config";
import { fetcherRules, fetcherSettings } from "@actions-archive/fetcher/config";
import { loaderRules, loaderSettings } from "@actions-archive/loader/config";
import { logWorkerRules, logWorkerSettings } from "@actions-archive/log-worker/config";
import { z } from "zod";

const StartConfig = z.object({ ...fetcherSettings, ...logWorkerSettings, ...loaderSettings });
export type StartConfig = Readonly<z.output<typeof StartConfig>>;

/** @throws ConfigError that names every wrong setting. */
export function loadStartConfig(env: Environment): StartConfig {
  return loadConfig(StartConfig, env, [...fetcherRules, ...logWorkerRules, ...loaderRules]);
}
