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
import { parseLogHosts } from "@actions-archive/github/transport/log-hosts";
import { z } from "zod";

import { hasIncludes, parseRepositoryPatterns } from "./repositories/repository-patterns.ts";

export const fetcherSettings = {
  ...commonSettings,
  ...githubSettings,
  GITHUB_WEBHOOK_SECRET: settings.GITHUB_WEBHOOK_SECRET,
  ARCHIVE_REPOSITORIES: settings.ARCHIVE_REPOSITORIES,
  ARCHIVE_SINCE: settings.ARCHIVE_SINCE,
  POLL_INTERVAL_SECONDS: settings.POLL_INTERVAL_SECONDS,
  RUN_SETTLE_SECONDS: settings.RUN_SETTLE_SECONDS,
} as const;

const FetcherConfig = z.object(fetcherSettings);
export type FetcherConfig = Readonly<z.output<typeof FetcherConfig>>;

export const fetcherRules: readonly SettingsRule[] = [
  credentialRule,
  repositoriesRule,
  objectLockRule,
  // With an App the setting may hold only exclusions: then every other repository of its installations is archived.
  (env) =>
    settingError(
      "ARCHIVE_REPOSITORIES",
      env,
      (value) => (env["GITHUB_APP_ID"] === undefined || hasIncludes(value)) && parseRepositoryPatterns(value),
    ),
  (env) => settingError("GITHUB_LOG_HOSTS", env, parseLogHosts),
];

/** @throws ConfigError that names every wrong setting. */
export function loadFetcherConfig(env: Environment): FetcherConfig {
  return loadConfig(FetcherConfig, env, fetcherRules);
}
