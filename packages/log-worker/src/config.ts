// The log-worker's settings.

import { type Environment, loadConfig, settingError, type SettingsRule } from "@actions-archive/core/config";
import {
  commonSettings,
  credentialRule,
  githubSettings,
  objectLockRule,
  settings,
  spoolRule,
} from "@actions-archive/core/settings";
import { parseLogHosts } from "@actions-archive/github/transport/log-hosts";
import { z } from "zod";

export const logWorkerSettings = {
  ...commonSettings,
  ...githubSettings,
  LOG_WAIT_SECONDS: settings.LOG_WAIT_SECONDS,
  LOG_SETTLE_SECONDS: settings.LOG_SETTLE_SECONDS,
  DOWNLOAD_CONCURRENCY: settings.DOWNLOAD_CONCURRENCY,
  MAX_LOG_BYTES: settings.MAX_LOG_BYTES,
  SPOOL_DIR: settings.SPOOL_DIR,
  SPOOL_MAX_BYTES: settings.SPOOL_MAX_BYTES,
} as const;

const LogWorkerConfig = z.object(logWorkerSettings);
export type LogWorkerConfig = Readonly<z.output<typeof LogWorkerConfig>>;

export const logWorkerRules: readonly SettingsRule[] = [
  credentialRule,
  objectLockRule,
  spoolRule,
  (env) => settingError("GITHUB_LOG_HOSTS", env, parseLogHosts),
];

/** @throws ConfigError that names every wrong setting. */
export function loadLogWorkerConfig(env: Environment): LogWorkerConfig {
  return loadConfig(LogWorkerConfig, env, logWorkerRules);
}
