import { ConfigError } from "@actions-archive/core/errors";
import { expect, test } from "vitest";

import { everythingBut, parseRepositoryPatterns } from "./repository-patterns.ts";

test("names, owners and exclusions are parsed without regard to case", () => {
  const patterns = parseRepositoryPatterns("Acme/*, octo/Hello-World, octo/service-*, !acme/private-*, !octo/service-b");
  expect(patterns.names).toEqual(["octo/hello-world"]);
  expect(patterns.owners).toEqual(["acme", "octo"]);
  const answers = [
    "ACME/web",
    "acme/Private-keys",
    "octo/hello-world",
    "octo/service-a",
    "octo/service-b",
    "octo/other",
    "other/web",
  ].map(patterns.includes);
  expect(answers).toEqual([true, false, true, true, false, false, false]);
});

test("a dot matches a dot, and a star matches within its part", () => {
  const { includes } = parseRepositoryPatterns("acme/a.b,acme/x*");
  expect([includes("acme/a.b"), includes("acme/aXb"), includes("acme/x/y")]).toEqual([true, false, false]);
});

test.each(["acme", "*/web", "acme/web/more", "acme/we b", "acme/%2e"])("%s is refused by name", (entry) => {
  expect(() => parseRepositoryPatterns(`octo/fine,${entry}`)).toThrow(entry);
});

test("only exclusions are refused for a token and accepted for an App", () => {
  expect(() => parseRepositoryPatterns("!acme/private-*")).toThrow(ConfigError);
  expect(["acme/web", "acme/private-keys"].map(everythingBut("!acme/private-*"))).toEqual([true, false]);
});

test("an excluded name is not requested", () => {
  expect(parseRepositoryPatterns("acme/web,acme/api,!acme/api").names).toEqual(["acme/web"]);
});
