// Paths: which names they accept, and which URLs belong to the API.

import { expect, test } from "vitest";

import { idOf, isApiUrl, repositoryPath } from "./paths.ts";

test("a repository is addressed by its name or by its id", () => {
  expect(repositoryPath("octo-org/hello.world_1")).toBe("/repos/octo-org/hello.world_1");
  expect(repositoryPath(42)).toBe("/repositories/42");
});

test.each(["", "owner", "owner/", "/name", "a/b/c", "../x", "a/..", "a/.", "a/b?c", "a/b#c", "a/b%2f", "a /b", "ö/b", "a/b\n"])(
  "%j is not a repository",
  (name) => {
    expect(() => repositoryPath(name)).toThrow(/Not a (repository|name)/);
  },
);

test.each([0, -1, 1.5, Number.NaN, 2 ** 60])("%d is not an id", (id) => {
  expect(() => idOf(id)).toThrow(/Not an id/);
});

const ghes = new URL("https://ghes.example/api/v3");

test.each([
  ["https://ghes.example/api/v3/repositories/1", true],
  ["https://ghes.example:443/api/v3/repositories/1", true],
  ["http://ghes.example/api/v3/repositories/1", false],
  ["https://ghes.example:8443/api/v3/repositories/1", false],
  ["https://user@ghes.example/api/v3/repositories/1", false],
  ["https://:secret@ghes.example/api/v3/repositories/1", false],
  ["https://ghes.example.evil.example/api/v3/repositories/1", false],
  ["https://ghes.example/api/v3evil/x", false],
  ["https://ghes.example/api/v3/../../x", false],
  ["https://ghes.example/login", false],
  ["https://evil.example/api/v3/repositories/1", false],
])("%s is the API: %s", (url, expected) => {
  expect(isApiUrl(new URL(url), ghes)).toBe(expected);
});
