import { ConfigError } from "@actions-archive/core/errors";
import { expect, test } from "vitest";

import { loadFetcherConfig } from "./config.ts";

const engines = { ARCHIVE_URL: "file:///a", DATABASE_URL: "postgres://h/d", QUEUE_URL: "redis://h" };

test.each([{ GITHUB_TOKEN: "t" }, { GITHUB_APP_ID: "7" }])(
  "an invalid pattern is refused at the start, for both kinds of credential: %j",
  (credential) => {
    const load = () => loadFetcherConfig({ ...engines, ...credential, ARCHIVE_REPOSITORIES: "acme/web,acme" });
    expect(load).toThrow(ConfigError);
    expect(load).toThrow(/ARCHIVE_REPOSITORIES: .*acme/);
  },
);

test("exclusions alone are enough for an App, and refused for a token", () => {
  const wrong = (env: Record<string, string>) => {
    try {
      loadFetcherConfig({ ...engines, ...env, ARCHIVE_REPOSITORIES: "!acme/private-*" });
      return "";
    } catch (error) {
      return String(error);
    }
  };
  expect(wrong({ GITHUB_TOKEN: "t" })).toContain("ARCHIVE_REPOSITORIES");
  expect(wrong({ GITHUB_APP_ID: "7" })).not.toContain("ARCHIVE_REPOSITORIES");
});
