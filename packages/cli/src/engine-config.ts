// The settings of commands that read the archive and never call GitHub.

import { type Environment, loadConfig } from "@actions-archive/core/config";
import { ConfigError } from "@actions-archive/core/errors";
import { commonSettings, githubHost, objectLockRule, sealKeyRule, sealSettings, settings } from "@actions-archive/core/settings";
import type { Identity } from "@actions-archive/database/ledger/identity";
import { z } from "zod";

const EngineConfig = z.object({
  ...commonSettings,
  ...sealSettings,
  // Without its default: when it is not set, no host is named, and the archive's own applies.
  GITHUB_API_URL: settings.GITHUB_API_URL.unwrap().optional(),
});
export type EngineConfig = Readonly<z.output<typeof EngineConfig>>;

/** @throws ConfigError that names every wrong setting. */
export function loadEngineConfig(env: Environment): EngineConfig {
  return loadConfig(EngineConfig, env, [objectLockRule, sealKeyRule]);
}

/**
 * Refuses to write into an archive of another host than the settings name, since writes are sealed permanently. Without
 * GITHUB_API_URL and GITHUB_HOST, the archive's host applies.
 * @throws ConfigError when the settings name another host.
 */
export function assertHost({ GITHUB_API_URL: api, GITHUB_HOST: override }: EngineConfig, { archive_id, host }: Identity): void {
  const named = override ?? (api === undefined ? undefined : githubHost(api, override));
  if (named === undefined || named === host) return;
  throw new ConfigError(
    `${override === undefined ? "GITHUB_API_URL" : "GITHUB_HOST"}: names ${named}, and archive ${archive_id} is of ${host}. Set it to ${host}'s, or unset it; or point DATABASE_URL and ARCHIVE_URL to the archive of ${named}. Nothing was changed`,
  );
}
