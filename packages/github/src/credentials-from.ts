// The credential that the settings name.
import { ConfigError } from "@actions-archive/core/errors";

import type { Credentials } from "./credentials.ts";

export type CredentialSettings = {
  readonly GITHUB_TOKEN?: string | undefined;
  readonly GITHUB_APP_ID?: number | undefined;
  readonly GITHUB_APP_PRIVATE_KEY?: string | undefined;
  readonly GITHUB_APP_PRIVATE_KEY_FILE?: string | undefined;
};

/** @throws ConfigError when there is none. */
export function credentialsFrom(settings: CredentialSettings): Credentials {
  const privateKey = settings.GITHUB_APP_PRIVATE_KEY ?? settings.GITHUB_APP_PRIVATE_KEY_FILE;
  if (settings.GITHUB_APP_ID !== undefined && privateKey !== undefined)
    return { kind: "app", appId: String(settings.GITHUB_APP_ID), privateKey };
  if (settings.GITHUB_TOKEN !== undefined) return { kind: "token", token: settings.GITHUB_TOKEN };
  throw new ConfigError("GITHUB_TOKEN: is required (or GITHUB_APP_ID with GITHUB_APP_PRIVATE_KEY_FILE)");
}
