// The fetcher's settings.

import { type Environment, loadConfig, type SettingsRule } from "@actions-archive/core/config";
import { settingError } from "@actions-archive/core/config";
import {
  commonSettings,
  credentialRule,
  githubSettings,
  objectLockRule,
  repositoriesRule,
  settings,
} from "@actions-archive/core/settings";
import { parseLogHosts } from "@actions-archive/github/log-hosts";
import { z } from "zod";

import { parseRepositoryPatterns } from "./repository-patterns.ts";

export const fetcherSettings = {
  ...commonSettings,
  ...githubSettings,
  ARCHIVE_REPOSITORIES: settings.ARCHIVE_REPOSITORIES,
  ARCHIVE_SINCE: settings.ARCHIVE_SINCE,
  POLL_INTERVAL_SECONDS: settings.POLL_INTERVAL_SECONDS,
} as const;

const FetcherConfig = z.object(fetcherSettings);
export type FetcherConfig = Readonly<z.output<typeof FetcherConfig>>;

export const fetcherRules: readonly SettingsRule[] = [
  credentialRule,
  repositoriesRule,
  objectLockRule,
  (env) =>
    settingError("ARCHIVE_REPOSITORIES", env, (value) => env["GITHUB_APP_ID"] === undefined && parseRepositoryPatterns(value)),
  (env) => settingError("GITHUB_LOG_HOSTS", env, parseLogHosts),
];

/** @throws ConfigError that names every wrong setting. */
export function loadFetcherConfig(env: Environment): FetcherConfig {
  return loadConfig(FetcherConfig, env, fetcherRules);
}
