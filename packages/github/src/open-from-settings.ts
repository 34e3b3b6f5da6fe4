// Opens the client from settings.

import { ConfigError } from "@actions-archive/core/errors";

import type { Credentials } from "./credentials/credential-store.ts";
import { type GitHub, type GitHubOptions, openGitHub } from "./github.ts";
import { logHostsFrom } from "./transport/log-hosts.ts";

export type GitHubSettings = {
  readonly GITHUB_API_URL: URL;
  readonly GITHUB_LOG_HOSTS?: string | undefined;
  readonly GITHUB_TOKEN?: string | undefined;
  readonly GITHUB_APP_ID?: number | undefined;
  readonly GITHUB_APP_PRIVATE_KEY?: string | undefined;
  readonly GITHUB_APP_PRIVATE_KEY_FILE?: string | undefined;
};

/** Opens the client. @throws ConfigError when there is no credential, or the API's URL may not receive one. */
export function openGitHubFrom(
  settings: GitHubSettings,
  { budget, log, metrics }: Pick<GitHubOptions, "budget" | "log" | "metrics">,
): GitHub {
  const logHosts = logHostsFrom(settings);
  return openGitHub({ apiUrl: settings.GITHUB_API_URL, credentials: credentialsFrom(settings), logHosts, budget, log, metrics });
}

function credentialsFrom(settings: GitHubSettings): Credentials {
  const privateKey = settings.GITHUB_APP_PRIVATE_KEY ?? settings.GITHUB_APP_PRIVATE_KEY_FILE;
  if (settings.GITHUB_APP_ID !== undefined && privateKey !== undefined)
    return { kind: "app", appId: String(settings.GITHUB_APP_ID), privateKey };
  if (settings.GITHUB_TOKEN !== undefined) return { kind: "token", token: settings.GITHUB_TOKEN };
  throw new ConfigError("GITHUB_TOKEN: is required (or GITHUB_APP_ID with GITHUB_APP_PRIVATE_KEY_FILE)");
}
