import { expect, test } from "vitest";
import { z } from "zod";

import { loadConfig } from "./config.ts";
import { ConfigError } from "./errors.ts";
import {
  commonSettings,
  credentialRule,
  githubHost,
  githubSettings,
  parseSince,
  repositoriesRule,
  settings,
  spoolRule,
} from "./settings.ts";

const worker = z.object({ ...commonSettings, ...githubSettings });

test("every wrong setting is named in one error", () => {
  const load = () =>
    loadConfig(worker, { GITHUB_API_URL: "http://github.example.com/api/v3", LOG_LEVEL: "loud", QUEUE_URL: "http://q" }, [
      credentialRule,
      repositoriesRule,
    ]);
  expect(load).toThrow(ConfigError);
  for (const name of [
    "GITHUB_API_URL",
    "LOG_LEVEL",
    "QUEUE_URL",
    "ARCHIVE_URL",
    "DATABASE_URL",
    "GITHUB_TOKEN",
    "ARCHIVE_REPOSITORIES",
  ]) {
    expect(load).toThrow(new RegExp(`  ${name}: `));
  }
});

test("an error repeats no value", () => {
  expect(() => loadConfig(worker, { DATABASE_URL: "hunter2", GITHUB_APP_PRIVATE_KEY: "hunter2" })).not.toThrow(/hunter2/);
});

test("an empty variable counts as unset", () => {
  const env = {
    ARCHIVE_URL: "file:///a",
    DATABASE_URL: "postgres://h/d",
    QUEUE_URL: "redis://h",
    LOG_LEVEL: "",
    PORT: " ",
    GITHUB_API_URL: "",
  };
  expect(loadConfig(worker, env)).toMatchObject({ LOG_LEVEL: "info", GITHUB_API_URL: new URL("https://api.github.com") });
});

test.each([
  ["https://api.github.com", undefined, "github.com"],
  ["https://api.acme.ghe.com", undefined, "acme.ghe.com"],
  ["https://GHES.example.com/api/v3", undefined, "ghes.example.com"],
  ["https://ghes.example.com:8443/api/v3", undefined, "ghes.example.com_8443"],
  ["http://127.0.0.1:3000", undefined, "127.0.0.1_3000"],
  ["http://127.0.0.1:3000", "github.com", "github.com"],
])("the host of %s with override %s is %s", (api, override, host) => {
  expect(githubHost(new URL(api), override)).toBe(host);
});

test("plain http reaches a loopback address only", () => {
  expect(settings.GITHUB_API_URL.safeParse("http://127.0.0.1:9").success).toBe(true);
  expect(settings.GITHUB_API_URL.safeParse("http://127.0.0.1.example.com").success).toBe(false);
  expect(settings.GITHUB_API_URL.safeParse("http://10.0.0.1").success).toBe(false);
});

test("a start is a date or a number of days", () => {
  const now = new Date("2026-11-23T12:00:00Z");
  expect(parseSince("2020-01-01", now)).toEqual(new Date("2020-01-01T00:00:00Z"));
  expect(parseSince("2026-01-01T10:00:00+02:00", now)).toEqual(new Date("2026-01-01T08:00:00Z"));
  expect(parseSince("2026-01-01T10:00", now)).toEqual(new Date("2026-01-01T10:00:00Z"));
  expect(parseSince("7", now)).toEqual(new Date("2026-11-16T12:00:00Z"));
  for (const wrong of ["yesterday", "2026-13-01", "-3", "1e3"]) expect(parseSince(wrong, now)).toBeUndefined();
});

test("the spool is never smaller than the largest log", () => {
  expect(spoolRule({ MAX_LOG_BYTES: "100", SPOOL_MAX_BYTES: "99" })).toContain("SPOOL_MAX_BYTES");
  expect(spoolRule({ MAX_LOG_BYTES: "100", SPOOL_MAX_BYTES: "100" })).toBeUndefined();
});
